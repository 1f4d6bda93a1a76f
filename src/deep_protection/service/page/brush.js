/** Painting a mask over an image: with the pointer, with arrow keys and the space bar, or from a file. */

import { ServiceError } from "./api.js";
import { announce, blobOf, imageSize, make, pixelsOf } from "./dom.js";
import { clear, tell } from "./errors.js";

const STEP = 0.02;
const SIZE_STEP = 1.25;

export class Brush {
  /**
   * @param {Element} root for the tools
   * @param {import("./compare.js").Stage} stage what the mask lies on
   */
  constructor(root, stage, onChange) {
    this.root = root;
    this.stage = stage;
    this.onChange = onChange;
    this.canvas = make("canvas", { class: "mask", tabindex: "0", role: "application", "aria-label": "Mask. Arrow keys move the brush, space paints, E turns it into an eraser and back, square brackets change its size, delete clears all." });
    this.pointer = make("div", { class: "mask-pointer", "aria-hidden": "true" });
    stage.compare.append(this.canvas, this.pointer);
    this.at = { x: 0.5, y: 0.5 };
    /** What was painted, in order: strokes of the brush and of the eraser, and masks from files. */
    this.strokes = [];
    this.addTools();
    this.canvas.addEventListener("pointerdown", (event) => { if (event.button === 0) this.begin(event); });
    this.canvas.addEventListener("pointermove", (event) => this.move(event));
    this.canvas.addEventListener("pointerleave", () => { if (document.activeElement !== this.canvas) this.pointer.classList.remove("is-on"); });
    for (const end of ["pointerup", "pointercancel"]) this.canvas.addEventListener(end, () => this.end());
    // Two fingers zoom; the first of them had begun a stroke.
    stage.compare.addEventListener("pinch", () => { if (this.stroke) this.undo(); this.stroke = null; });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.canvas.addEventListener("focus", () => this.place(true));
    this.canvas.addEventListener("blur", () => this.pointer.classList.remove("is-on"));
  }

  addTools() {
    const button = (text, does, more = {}) => make("button", { type: "button", class: "button small", text, onclick: does, ...more });
    this.size = make("input", { type: "range", min: "1", max: "20", step: "any", value: "5", "aria-label": "Brush size, percent of the image’s width", title: "Keys [ and ]" });
    this.eraser = button("Eraser", () => this.erase(), { "aria-pressed": "false", title: "Key E" });
    this.file = make("input", { type: "file", accept: "image/*", class: "file-input mask-file" });
    this.trouble = make("p", { class: "trouble", role: "alert", hidden: true });
    this.size.addEventListener("input", () => this.place());
    this.file.addEventListener("change", () => {
      if (this.file.files.length) this.load(this.file.files[0]);
      this.file.value = "";
    });
    this.root.append(
      make("label", { class: "brush-size" }, make("span", { text: "Brush" }), this.size),
      this.eraser, button("Undo", () => this.undo()), button("Clear", () => this.clear()),
      make("label", { class: "button small file-label", title: "An image of the same size; white is missing" }, "Mask from a file", this.file),
      this.trouble,
      make("p", { class: "hint brush-hint", text: "Paint over what shall be drawn anew. Keys: arrows move the brush, space paints, E erases, [ and ] change its size. A mask from a file is white where the image is missing." }));
  }

  /** Begins anew on an image of this size. */
  reset({ width, height }) {
    this.canvas.width = width;
    this.canvas.height = height;
    this.erase(false);
    this.clear();
  }

  get isEmpty() {
    if (this.strokes.every(({ isEraser }) => isEraser)) return true;
    if (!this.strokes.some(({ isEraser }) => isEraser)) return false;
    const { data } = this.canvas.getContext("2d").getImageData(0, 0, this.canvas.width, this.canvas.height);
    for (let i = 3; i < data.length; i += 4) if (data[i]) return false;
    return true;
  }

  clear() {
    this.strokes = [];
    clear(this.trouble);
    this.draw();
    this.onChange?.();
  }

  undo() {
    this.strokes.pop();
    this.draw();
    this.onChange?.();
  }

  erase(isErasing = !this.isErasing) {
    this.isErasing = isErasing;
    this.eraser.setAttribute("aria-pressed", isErasing);
    this.pointer.classList.toggle("is-eraser", isErasing);
  }

  /** White of an image is missing, as the server reads it: half of white and more, or the ones among zeros and ones. */
  async load(file) {
    clear(this.trouble);
    const { width, height } = this.canvas;
    try {
      const size = await imageSize(file).catch(() => null);
      if (!size) throw new ServiceError("not_an_image", `“${file.name}” is not an image that can be read.`);
      if (size.width !== width || size.height !== height) {
        throw new ServiceError("mask_size", `“${file.name}” has ${size.width} × ${size.height} pixels and the image ${width} × ${height}; a mask has the size of its image.`);
      }
      const pixels = await pixelsOf(file);
      const { data } = pixels;
      let brightest = 0;
      for (let i = 0; i < data.length; i += 4) brightest = Math.max(brightest, data[i] + data[i + 1] + data[i + 2]);
      const least = brightest === 3 ? 3 : 3 * 127.5;
      if (brightest < least || brightest === 0) throw new ServiceError("mask_empty", `Nothing of “${file.name}” is white; white marks what is missing.`);
      for (let i = 0; i < data.length; i += 4) data[i + 3] = data[i] + data[i + 1] + data[i + 2] >= least ? 255 : 0;
      const layer = make("canvas", { width, height });
      layer.getContext("2d").putImageData(pixels, 0, 0);
      this.strokes.push({ layer });
      this.draw();
      this.onChange?.();
      announce(`The mask “${file.name}” was added.`);
    } catch (error) {
      tell(this.trouble, error);
    }
  }

  begin(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.stroke = this.start();
    this.stage.compare.classList.add("is-painting");
    this.move(event);
    event.preventDefault();
    this.canvas.focus({ preventScroll: true });
  }

  start() {
    const stroke = { radius: (this.size.value / 200) * this.canvas.width, places: [], isEraser: this.isErasing };
    this.strokes.push(stroke);
    return stroke;
  }

  move(event) {
    const box = this.canvas.getBoundingClientRect();
    this.at = { x: within((event.clientX - box.left) / box.width), y: within((event.clientY - box.top) / box.height) };
    this.place(true);
    if (!this.stroke) return;
    this.stroke.places.push(this.at);
    this.draw();
  }

  end() {
    if (this.stroke) this.onChange?.();
    this.stroke = null;
    this.stage.compare.classList.remove("is-painting");
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key in steps) {
      const [x, y] = steps[event.key];
      const step = STEP * (event.shiftKey ? 4 : 1);
      this.at = { x: within(this.at.x + x * step), y: within(this.at.y + y * step) };
      this.place(true);
      this.stage.zoom.reveal(this.at.x, this.at.y);
    } else if (event.key === " ") {
      this.start().places.push(this.at);
      this.draw();
      this.onChange?.();
      announce(this.isErasing ? "Erased." : "Painted.");
    } else if (event.key === "Delete") {
      this.clear();
      announce("Cleared.");
    } else if (event.key === "e" || event.key === "E") {
      this.erase();
      announce(this.isErasing ? "Eraser." : "Brush.");
    } else if (event.key === "[" || event.key === "]") {
      this.size.value = this.size.value * (event.key === "]" ? SIZE_STEP : 1 / SIZE_STEP);
      this.place(true);
      announce(`Brush ${Math.round(this.size.value)} percent wide.`);
    } else return;
    event.preventDefault();
  }

  place(isOn = false) {
    const style = this.pointer.style;
    style.setProperty("--x", `${100 * this.at.x}%`);
    style.setProperty("--y", `${100 * this.at.y}%`);
    style.setProperty("--size", `${this.size.value}%`);
    if (isOn) this.pointer.classList.add("is-on");
  }

  draw() {
    this.paint(this.canvas, getComputedStyle(this.canvas).color);
  }

  paint(canvas, colour) {
    const pen = canvas.getContext("2d");
    pen.globalCompositeOperation = "source-over";
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.lineCap = pen.lineJoin = "round";
    for (const { radius, places, isEraser, layer } of this.strokes) {
      pen.globalCompositeOperation = isEraser ? "destination-out" : "source-over";
      if (layer) {
        pen.drawImage(layer, 0, 0);
        continue;
      }
      pen.lineWidth = 2 * radius;
      pen.beginPath();
      places.forEach(({ x, y }, number) => pen[number ? "lineTo" : "moveTo"](x * canvas.width, y * canvas.height));
      if (places.length === 1) pen.lineTo(places[0].x * canvas.width + 0.01, places[0].y * canvas.height);
      pen.stroke();
    }
    pen.globalCompositeOperation = "source-in";
    pen.fillStyle = colour;
    pen.fillRect(0, 0, canvas.width, canvas.height);
  }

  /** White where the image shall be drawn anew, black elsewhere. */
  async mask() {
    const canvas = document.createElement("canvas");
    canvas.width = this.canvas.width;
    canvas.height = this.canvas.height;
    this.paint(canvas, "#fff");
    const pen = canvas.getContext("2d");
    pen.globalCompositeOperation = "destination-over";
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    return blobOf(canvas);
  }

  shown(isShown) {
    this.canvas.hidden = !isShown;
    this.pointer.hidden = !isShown;
  }
}

const within = (share) => Math.min(1, Math.max(0, share));
