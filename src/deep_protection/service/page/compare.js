/** The image: before and after with a divider between them, and what was added or taken out, ten times as strong. */

import { address, copyOf, find, findAll, make, pixelsOf, show } from "./dom.js";
import { Zoom } from "./zoom.js";

const TIMES = 10;
const TILED = 1600;
/** Pixels of the longer side on which tiles in the making are shown. */

export class Stage {
  /** @param {Element} root an empty element that the stage fills */
  constructor(root) {
    this.root = root;
    root.append(copyOf("#stage-template"));
    this.compare = find(".compare", root);
    this.below = find(".compare-below", root);
    this.above = find(".compare-above", root);
    this.range = find(".compare-range", root);
    this.canvas = find(".difference", root);
    this.tiles = find(".compare-tiles", root);
    this.views = find(".views", root);
    this.hint = find(".view-hint", root);
    this.zoom = new Zoom(this.compare, () => this.size);
    this.below.addEventListener("load", () => {
      const { naturalWidth: width, naturalHeight: height } = this.below;
      // Another image; before and after of one and the same are compared at the place that is looked at.
      if (width !== this.size?.width || height !== this.size?.height) this.zoom.fit();
      this.size = { width, height };
      this.compare.style.setProperty("--wide", width / height);
      this.zoom.apply();
    });
    this.range.addEventListener("input", () => this.divide(Number(this.range.value)));
    this.line = find(".compare-line", root);
    this.line.addEventListener("pointerdown", (event) => this.drag(event));
  }

  /** The line itself moves where the image is zoomed in, for there all else of it pans. */
  drag(event) {
    event.preventDefault();
    this.range.focus({ preventScroll: true });
    this.line.setPointerCapture(event.pointerId);
    this.line.onpointermove = ({ clientX }) => {
      const box = this.compare.getBoundingClientRect();
      this.range.value = (100 * (clientX - box.left)) / box.width;
      this.divide(Number(this.range.value));
    };
    this.line.onlostpointercapture = () => { this.line.onpointermove = null; };
  }

  /** Nothing. */
  clear() {
    for (const image of [this.below, this.above]) {
      image.removeAttribute("src");
      image.alt = "";
    }
    this.size = null;
    this.setViews([]);
    this.chips("", "");
    this.compare.classList.remove("is-comparing", "is-alone");
    this.forgetTiles();
    this.lookAt("picture");
  }

  /** One image, nothing to compare it with. */
  showOnly(blob, alt) {
    this.below.src = this.belowAddress = address(blob, this.belowAddress);
    this.below.alt = alt;
    this.above.removeAttribute("src");
    this.above.alt = "";
    this.setViews([]);
    this.chips("", "");
    this.compare.classList.remove("is-comparing", "is-alone");
    this.forgetTiles();
    this.lookAt("picture");
  }

  /**
   * A part of a restoration in the making, in its place over the image that it starts from.
   * @param {string} source @param {[number, number, number, number]} box left, top, right and bottom as shares of the sides
   */
  async showTile(source, [left, top, right, bottom]) {
    const tile = new Image();
    tile.src = source;
    const { shown } = this;
    await tile.decode();
    if (shown !== this.shown || !this.size) return;  // something else is shown by now
    const { tiles } = this;
    if (tiles.hidden) {
      const scale = Math.min(1, TILED / Math.max(this.size.width, this.size.height));
      tiles.width = Math.round(scale * this.size.width);
      tiles.height = Math.round(scale * this.size.height);
      show(tiles, true);
    }
    const [width, height] = [tiles.width, tiles.height];
    tiles.getContext("2d").drawImage(tile, left * width, top * height, (right - left) * width, (bottom - top) * height);
  }

  forgetTiles() {
    this.shown = {};
    show(this.tiles, false);
  }

  /** A restoration in the making, over the image that it starts from, unless that is of another shape. */
  showGrowing(source, alt, { isAlone = false } = {}) {
    this.compare.classList.toggle("is-alone", isAlone);
    this.above.src = source;
    this.above.alt = alt;
    this.setViews([]);
    this.chips("", "");
    this.compare.classList.remove("is-comparing");
    this.divide(0);
    this.lookAt("picture");
  }

  /**
   * Two images of the same place with a divider between them.
   * @param {{blob: Blob, alt: string, chip: string}} before
   * @param {{blob: Blob, alt: string, chip: string}} after
   * @param {Array<{name: string, label: string, hint: string, from: Blob, to: Blob}>} differences
   */
  showBoth(before, after, differences = []) {
    this.below.src = this.belowAddress = address(before.blob, this.belowAddress);
    this.below.alt = before.alt;
    this.above.src = this.aboveAddress = address(after.blob, this.aboveAddress);
    this.above.alt = after.alt;
    this.chips(before.chip, after.chip);
    this.forgetTiles();
    this.compare.classList.remove("is-alone");
    this.compare.classList.add("is-comparing");
    this.range.value = 50;
    this.divide(50);
    this.setViews([{ name: "picture", label: "Before | after" }, ...differences]);
    this.lookAt("picture");
  }

  /** Percent of the width, from the left, that show what was before. */
  divide(share) {
    this.compare.style.setProperty("--share", `${share}%`);
    this.range.setAttribute("aria-valuetext", `${share} % before, ${100 - share} % after`);
  }

  chips(left, right) {
    find(".chip-left", this.root).textContent = left;
    find(".chip-right", this.root).textContent = right;
  }

  setViews(views) {
    this.differences = views.filter((view) => view.from);
    for (const label of findAll("label", this.views)) label.remove();
    show(this.views, views.length > 1);
    const group = (this.root.closest("[id]")?.id ?? "") + "-view";
    for (const { name, label } of views.length > 1 ? views : []) {
      const input = make("input", { type: "radio", name: group, value: name, checked: name === "picture" });
      input.addEventListener("change", () => this.lookAt(name));
      this.views.append(make("label", {}, input, make("span", { text: label })));
    }
  }

  async lookAt(name) {
    const view = this.differences.find((each) => each.name === name);
    show(this.canvas, Boolean(view));
    this.compare.classList.toggle("is-difference", Boolean(view));
    show(this.hint, Boolean(view));
    if (!view) return;
    this.hint.textContent = view.hint;
    this.canvas.setAttribute("aria-label", `${view.label}. ${view.hint}`);
    const asked = this.looked = view;
    await drawDifference(this.canvas, view.from, view.to, () => this.looked === asked);
  }
}

/** Mid-grey where nothing changed; a change of ε shows as ten times ε. */
async function drawDifference(canvas, from, to, isWanted) {
  const second = await pixelsOf(to);
  const first = await pixelsOf(from, second);
  const shown = new ImageData(second.width, second.height);
  for (let i = 0; i < shown.data.length; i += 4) {
    for (let c = 0; c < 3; c++) shown.data[i + c] = 128 + TIMES * (second.data[i + c] - first.data[i + c]);
    shown.data[i + 3] = 255;
  }
  if (!isWanted()) return;
  canvas.width = second.width;
  canvas.height = second.height;
  canvas.getContext("2d").putImageData(shown, 0, 0);
}
