/** A map as layers: the ground, the lettering, and a frame around every word. */

import { address, find, make, show } from "./dom.js";

export class Sheet {
  constructor(root) {
    this.ground = make("img", { class: "sheet-ground", alt: "" });
    this.lettering = make("img", { class: "sheet-lettering", alt: "", hidden: true });
    this.frames = make("svg", { class: "sheet-frames", "aria-hidden": "true" });
    this.busyLine = make("div", { class: "busy-line is-unknown", role: "progressbar", "aria-label": "Progress", hidden: true }, make("div"));
    this.frame = make("div", { class: "sheet-frame" }, this.ground, this.lettering, this.frames, this.busyLine);
    root.append(this.frame);
  }

  /** The map as it came in. */
  showOnly(blob, name) {
    this.groundAddress = this.ground.src = address(blob, this.groundAddress);
    this.ground.alt = `The map ${name}`;
    show(this.ground);
    show(this.lettering, false);
    this.frames.replaceChildren();
    this.frame.classList.remove("is-paper");
  }

  /** @param {Blob} without the map without its words; @param {Blob} layer the lettering, transparent elsewhere */
  showLayers(without, layer, words, size) {
    this.groundAddress = this.ground.src = address(without, this.groundAddress);
    this.ground.alt = "The map, painted over where words stood";
    this.letteringAddress = this.lettering.src = address(layer, this.letteringAddress);
    this.lettering.alt = "The lettering of the map";
    this.frames.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
    this.frames.replaceChildren(...words.map((word, number) =>
      make("polygon", { points: word.corners.map((corner) => corner.join(",")).join(" "), "data-word": number, "vector-effect": "non-scaling-stroke" })));
  }

  layers({ ground, lettering, frames }) {
    show(this.ground, ground);
    show(this.lettering, lettering);
    this.frames.classList.toggle("is-off", !frames);
    this.frame.classList.toggle("is-paper", !ground);
  }

  mark(number, isMarked) {
    find(`[data-word="${number}"]`, this.frames)?.classList.toggle("is-marked", isMarked);
  }

  busy(isBusy) {
    show(this.busyLine, isBusy);
  }
}
