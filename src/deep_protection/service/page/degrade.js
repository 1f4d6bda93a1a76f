/** Making a good image worse, to see it mended. */

import { blobOf, imageSize, pixelsOf } from "./dom.js";

const SIGMA = 25;

/** Gaussian noise of 25 of 255 levels on every channel. */
export async function noisy(blob) {
  const pixels = await pixelsOf(blob);
  for (let i = 0; i < pixels.data.length; i++) {
    if (i % 4 !== 3) pixels.data[i] += SIGMA * normal();
  }
  return blobOf(canvasOf(pixels));
}

/** JPEG at a quality of a tenth, shown again as PNG so that nothing is decoded twice. */
export async function compressed(blob) {
  const jpeg = await blobOf(canvasOf(await pixelsOf(blob)), "image/jpeg", 0.1);
  return blobOf(canvasOf(await pixelsOf(jpeg)));
}

/** Half as wide and half as high. */
export async function shrunk(blob) {
  const { width, height } = await imageSize(blob);
  return blobOf(canvasOf(await pixelsOf(blob, { width: Math.max(1, width >> 1), height: Math.max(1, height >> 1) })));
}

function canvasOf(pixels) {
  const canvas = document.createElement("canvas");
  canvas.width = pixels.width;
  canvas.height = pixels.height;
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas;
}

/** Box and Muller's. */
function normal() {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}
