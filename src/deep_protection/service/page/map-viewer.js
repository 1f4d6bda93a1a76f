/** A map as layers: the ground, the lettering, and a frame around every word. */

import { address, find, findAll, make, percent, show } from "./dom.js";
import { rove } from "./rove.js";
import { Zoom } from "./zoom.js";

export class Sheet {
  /**
   * @param {Element} root an empty element that the sheet fills
   * @param {(number: number) => void} onSelect hears which word's frame was clicked or got the focus
   */
  constructor(root, onSelect = () => {}) {
    this.ground = make("img", { class: "sheet-ground", alt: "" });
    this.lettering = make("img", { class: "sheet-lettering", alt: "", hidden: true });
    this.frames = make("svg", { class: "sheet-frames", role: "group", "aria-label": "Words on the map" });
    this.chip = make("span", { class: "sheet-word", "aria-hidden": "true", hidden: true });
    this.frame = make("div", { class: "sheet-frame" }, this.ground, this.lettering, this.frames, this.chip);
    root.append(this.frame);
    this.zoom = new Zoom(this.frame, () => this.size);
    this.ground.addEventListener("load", () => {
      const { naturalWidth: width, naturalHeight: height } = this.ground;
      this.size = { width, height };
      this.frame.style.setProperty("--wide", width / height);
      this.zoom.apply();
    });
    for (const kind of ["click", "focusin"]) this.frames.addEventListener(kind, ({ target }) => {
      if (target.dataset.word) onSelect(Number(target.dataset.word));
    });
    rove(this.frames, "polygon:not([hidden])");
  }

  /** The map as it came in. */
  showOnly(blob, name) {
    this.groundAddress = this.ground.src = address(blob, this.groundAddress);
    this.ground.alt = `The map ${name}`;
    show(this.ground);
    show(this.lettering, false);
    show(this.chip, false);
    this.words = [];
    this.frames.replaceChildren();
    this.frame.classList.remove("is-paper");
    this.zoom.fit();
  }

  /** @param {Blob} without the map without its words; @param {Blob} layer the lettering, transparent elsewhere */
  showLayers(without, layer, words, size) {
    this.groundAddress = this.ground.src = address(without, this.groundAddress);
    this.ground.alt = "The map, painted over where words stood";
    this.letteringAddress = this.lettering.src = address(layer, this.letteringAddress);
    this.lettering.alt = "The lettering of the map";
    this.size = size;
    this.words = words;
    this.frames.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
    this.frames.replaceChildren(...words.map((word, number) =>
      make("polygon", {
        points: word.corners.map((corner) => corner.join(",")).join(" "),
        "data-word": number, tabindex: "-1", role: "button", "aria-label": toldOf(word), "aria-pressed": "false",
      })));
  }

  layers({ ground, lettering, frames }) {
    show(this.ground, ground);
    show(this.lettering, lettering);
    this.frames.classList.toggle("is-off", !frames);
    this.frame.classList.toggle("is-paper", !ground);
  }

  /** @param {Set<number>} shown words that have a frame */
  filter(shown) {
    for (const polygon of findAll("polygon", this.frames)) polygon.toggleAttribute("hidden", !shown.has(Number(polygon.dataset.word)));
    this.settle();
  }

  mark(number, isMarked) {
    find(`[data-word="${number}"]`, this.frames)?.classList.toggle("is-marked", isMarked);
  }

  /** @param {number | null} number the word that is looked at */
  select(number) {
    for (const polygon of findAll("polygon", this.frames)) {
      const isSelected = polygon.dataset.word === String(number);
      polygon.classList.toggle("is-selected", isSelected);
      polygon.setAttribute("aria-pressed", isSelected);
    }
    const word = this.words[number];
    show(this.chip, Boolean(word));
    this.settle();
    if (!word) return;
    this.chip.textContent = toldOf(word);
    const [left, top, right, bottom] = word.box;
    this.zoom.reveal((left + right) / 2 / this.size.width, (top + bottom) / 2 / this.size.height, 0.2);
  }

  /** One frame is reached by tab, the others by arrow keys. */
  settle() {
    const shown = findAll("polygon:not([hidden])", this.frames);
    const first = shown.find((each) => each.classList.contains("is-selected")) ?? shown[0];
    for (const polygon of shown) polygon.tabIndex = polygon === first ? 0 : -1;
  }
}

const toldOf = ({ text, confidence }) => `${text}, ${percent(confidence)}`;
