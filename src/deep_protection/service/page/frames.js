/** The images of a fit, which come one beside the other. */

import { blobOf } from "./dom.js";

export class Frames {
  /** @param {Blob} strip @param {number} count of images in it */
  constructor(strip, count) {
    this.bitmap = createImageBitmap(strip);
    this.count = count;
    this.made = new Map();
  }

  /** The address of one of them. */
  at(number) {
    if (!this.made.has(number)) this.made.set(number, this.make(number));
    return this.made.get(number);
  }

  /** Takes the addresses back. */
  close() {
    for (const each of this.made.values()) each.then(URL.revokeObjectURL, () => {});
    this.made.clear();
  }

  async make(number) {
    const bitmap = await this.bitmap;
    const width = bitmap.width / this.count;
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = bitmap.height;
    canvas.getContext("2d").drawImage(bitmap, number * width, 0, width, bitmap.height, 0, 0, width, bitmap.height);
    return URL.createObjectURL(await blobOf(canvas));
  }
}
