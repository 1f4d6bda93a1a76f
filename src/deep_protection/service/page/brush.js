/** Painting a mask over a picture: with the pointer, or with arrow keys and the space bar. */

import { announce, blobOf, find, make } from "./dom.js";

const STEP = 0.02;

export class Brush {
  /** @param {Element} root for the tools; @param {Element} over what the mask lies on */
  constructor(root, over, onChange) {
    this.onChange = onChange;
    this.canvas = make("canvas", { class: "mask", tabindex: "0", role: "application", "aria-label": "Mask. Arrow keys move the brush, space paints, delete clears all." });
    this.pointer = make("div", { class: "mask-pointer", "aria-hidden": "true" });
    over.append(this.canvas, this.pointer);
    this.size = make("input", { type: "range", min: "1", max: "20", value: "5", "aria-label": "Brush size, percent of the picture’s width" });
    const undo = make("button", { type: "button", class: "button small", text: "Undo", onclick: () => this.undo() });
    const empty = make("button", { type: "button", class: "button small", text: "Clear", onclick: () => this.clear() });
    root.append(make("label", { class: "brush-size" }, make("span", { text: "Brush" }), this.size), undo, empty,
      make("p", { class: "hint brush-hint", text: "Paint over what shall be drawn anew. By keyboard: arrows move the brush, space paints." }));
    this.at = { x: 0.5, y: 0.5 };
    this.strokes = [];
    this.size.addEventListener("input", () => this.place());
    this.canvas.addEventListener("pointerdown", (event) => this.begin(event));
    this.canvas.addEventListener("pointermove", (event) => this.move(event));
    this.canvas.addEventListener("pointerleave", () => { if (document.activeElement !== this.canvas) this.pointer.classList.remove("is-on"); });
    for (const end of ["pointerup", "pointercancel"]) this.canvas.addEventListener(end, () => { this.stroke = null; });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.canvas.addEventListener("focus", () => this.place(true));
    this.canvas.addEventListener("blur", () => this.pointer.classList.remove("is-on"));
  }

  /** Begins anew on a picture of this size. */
  reset({ width, height }) {
    this.canvas.width = width;
    this.canvas.height = height;
    this.clear();
  }

  get isEmpty() {
    return this.strokes.length === 0;
  }

  clear() {
    this.strokes = [];
    this.draw();
  }

  undo() {
    this.strokes.pop();
    this.draw();
  }

  begin(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.stroke = this.start();
    this.move(event);
    event.preventDefault();
    this.canvas.focus({ preventScroll: true });
  }

  start() {
    const stroke = { radius: (this.size.value / 200) * this.canvas.width, places: [] };
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

  key(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key in steps) {
      const [x, y] = steps[event.key];
      const step = STEP * (event.shiftKey ? 4 : 1);
      this.at = { x: within(this.at.x + x * step), y: within(this.at.y + y * step) };
      this.place(true);
    } else if (event.key === " ") {
      this.start().places.push(this.at);
      this.draw();
      announce("Painted.");
    } else if (event.key === "Delete") {
      this.clear();
      announce("Cleared.");
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
    this.onChange?.();
  }

  paint(canvas, colour) {
    const pen = canvas.getContext("2d");
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.lineCap = pen.lineJoin = "round";
    pen.strokeStyle = colour;
    for (const { radius, places } of this.strokes) {
      pen.lineWidth = 2 * radius;
      pen.beginPath();
      places.forEach(({ x, y }, number) => pen[number ? "lineTo" : "moveTo"](x * canvas.width, y * canvas.height));
      if (places.length === 1) pen.lineTo(places[0].x * canvas.width + 0.01, places[0].y * canvas.height);
      pen.stroke();
    }
  }

  /** White where the picture shall be drawn anew, black elsewhere. */
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
