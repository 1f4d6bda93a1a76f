/** Zoom, pan and full screen for what lies in a frame: an image, a map, with all that is drawn over them. */

import { announce, make } from "./dom.js";

const STEP = 1.5;
const MOST = 16;
/** Screen pixels that an image's pixel needs before it is shown as the square that it is. */
const PIXELS_SEEN = 4;
/** Pixels that a pointer may move and still be a click. */
const SLACK = 4;
/** Pixels that what is zoomed in can be pushed up by, past its foot: what lies under the buttons comes out above them. */
const TOOLS = 56;

const MINUS = "M4 10h12";
const PLUS = "M4 10h12M10 4v12";
const FULL = "M4 8V4h4M12 4h4v4M16 12v4h-4M8 16H4v-4";

/**
 * What the frame holds is scaled and moved by the style sheet, from three properties of the frame (`--zoom`, `--pan-x`
 * and `--pan-y`, in parts of the frame's own size): whatever asks for its box on the screen gets the true one.
 */
export class Zoom {
  /**
   * @param {HTMLElement} frame whose content is scaled; its parent is what fills the screen
   * @param {() => {width: number, height: number} | null} size of what is shown, in its own pixels
   */
  constructor(frame, size) {
    this.frame = frame;
    this.size = size;
    this.room = frame.parentElement;
    this.room.classList.add("zoom-room");
    frame.classList.add("zoom");
    frame.tabIndex = 0;
    frame.setAttribute("role", "group");
    frame.setAttribute("aria-label", "Image. Plus and minus zoom, 0 shows all of it, arrow keys move it, F fills the screen.");
    this.tools = make("div", { class: "zoom-tools", role: "group", "aria-label": "Zoom" },
      this.smaller = tool("Smaller", MINUS, () => this.by(1 / STEP)),
      this.all = tool("Show all of it", null, () => this.fit(), "Fit"),
      this.larger = tool("Larger", PLUS, () => this.by(STEP)),
      this.full = tool("Full screen", FULL, () => this.fill()));
    this.full.hidden = !document.fullscreenEnabled;
    frame.append(this.tools);
    this.fit();
    this.listen();
  }

  listen() {
    const { frame } = this;
    frame.addEventListener("keydown", (event) => this.key(event));
    frame.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    frame.addEventListener("dblclick", (event) => this.twice(event));
    // The middle button pans even where the first one paints.
    frame.addEventListener("pointerdown", (event) => { if (event.button === 1) this.grasp(event, true); }, { capture: true });
    frame.addEventListener("pointerdown", (/** @type {any} */ event) => { if (event.button === 0 && !event.target.closest("button, input, .mask, .compare-line")) this.grasp(event); });
    frame.addEventListener("click", (event) => { if (this.hasMoved) event.stopPropagation(); this.hasMoved = false; }, { capture: true });
    frame.addEventListener("dragstart", (event) => { if (this.isZoomed) event.preventDefault(); });
    for (const kind of ["touchstart", "touchmove"]) frame.addEventListener(kind, (event) => this.pinch(event), { passive: false });
    frame.addEventListener("touchend", () => { this.pinched = null; });
    document.addEventListener("fullscreenchange", () => {
      const isFull = document.fullscreenElement === this.room;
      this.full.setAttribute("aria-label", isFull ? "Leave full screen" : "Full screen");
      this.full.title = this.full.ariaLabel;
      this.apply();
    });
    new ResizeObserver(() => this.apply()).observe(frame);
  }

  get isZoomed() {
    return this.zoom !== 1;
  }

  /** How much to scale so that a pixel of the image is a pixel of the screen. */
  get oneToOne() {
    const size = this.size();
    const shown = this.frame.clientWidth;
    return size?.width && shown ? size.width / devicePixelRatio / shown : 1;
  }

  get least() {
    return Math.min(1, this.oneToOne);
  }

  get most() {
    return Math.max(MOST, MOST * this.oneToOne);
  }

  /** All of it. */
  fit() {
    this.zoom = 1;
    this.x = this.y = 0;
    this.apply();
  }

  /** @param {{x: number, y: number}} around what stays where it is, in parts of the frame */
  by(factor, around = { x: 0.5, y: 0.5 }) {
    this.to(this.zoom * factor, around);
  }

  to(zoom, around = { x: 0.5, y: 0.5 }) {
    const before = this.zoom;
    this.zoom = Math.min(this.most, Math.max(this.least, zoom));
    if (Math.abs(this.zoom - 1) < 0.02) this.zoom = 1;
    this.x = around.x - ((around.x - this.x) * this.zoom) / before;
    this.y = around.y - ((around.y - this.y) * this.zoom) / before;
    this.apply();
  }

  /** Moves by parts of the frame; tells whether anything moved. */
  pan(right, down) {
    const { x, y } = this;
    this.x += right;
    this.y += down;
    this.apply();
    return this.x !== x || this.y !== y;
  }

  /** Brings a place of the image into sight, in parts of its size. */
  reveal(x, y, margin = 0.1) {
    const off = (at, moved) => {
      const seen = moved + at * this.zoom;
      return seen < margin ? margin - seen : seen > 1 - margin ? 1 - margin - seen : 0;
    };
    if (this.isZoomed) this.pan(off(x, this.x), off(y, this.y));
  }

  async fill() {
    if (document.fullscreenElement) await document.exitFullscreen();
    else if (document.fullscreenEnabled) await this.room.requestFullscreen().catch(() => announce("This browser does not fill the screen."));
  }

  apply() {
    const most = 1 - this.zoom;
    const kept = (at, more = 0) => (most >= 0 ? most / 2 : Math.min(0, Math.max(most - more, at)));
    this.x = kept(this.x);
    this.y = kept(this.y, TOOLS / (this.frame.clientHeight || Infinity));
    const { style, classList } = this.frame;
    style.setProperty("--zoom", String(this.zoom));
    style.setProperty("--pan-x", `${100 * this.x}%`);
    style.setProperty("--pan-y", `${100 * this.y}%`);
    classList.toggle("is-zoomed", this.isZoomed);
    classList.toggle("is-magnified", this.zoom > 1 && this.zoom > PIXELS_SEEN * this.oneToOne);
    // Where all of it is seen there is nothing to go back to, and the toolbar says how large it is where not.
    this.all.textContent = this.isZoomed ? `${Math.round((100 * this.zoom) / this.oneToOne)}\u00a0%` : "Fit";
    this.smaller.disabled = this.zoom <= this.least;
    this.larger.disabled = this.zoom >= this.most;
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const steps = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const does = { "+": () => this.by(STEP), "=": () => this.by(STEP), "-": () => this.by(1 / STEP), "−": () => this.by(1 / STEP), 0: () => this.fit(), f: () => this.fill(), F: () => this.fill() }[event.key];
    if (does) {
      does();
      if (event.key.toLowerCase() !== "f") announce(this.isZoomed ? `${this.all.textContent} of the image’s own size.` : "All of it.");
    } else if (event.key in steps && event.target === this.frame && this.isZoomed) {
      const [x, y] = steps[event.key];
      this.pan(0.1 * x, 0.1 * y);
    } else return;
    event.preventDefault();
  }

  /** With ctrl, or by two fingers on a pad, it zooms; else it moves what is zoomed in, up to its edge, and then the page. */
  wheel(event) {
    const box = this.frame.getBoundingClientRect();
    if (event.ctrlKey) {
      this.by(Math.exp(Math.min(60, Math.max(-60, -event.deltaY)) / 120), placeIn(box, event));
      event.preventDefault();
    } else if (this.isZoomed && this.pan(-event.deltaX / box.width, -event.deltaY / box.height)) event.preventDefault();
  }

  /** Pixel for pixel where it was clicked, or all of it again. */
  twice(event) {
    if (event.target.closest("button, .mask, .compare-line")) return;
    const { oneToOne } = this;
    if (Math.abs(this.zoom - oneToOne) < 0.01 * oneToOne) this.fit();
    else this.to(oneToOne, placeIn(this.frame.getBoundingClientRect(), event));
  }

  grasp(event, isMiddle = false) {
    this.hasMoved = false;
    if (!this.isZoomed || this.pinched || !event.isPrimary) return;
    if (isMiddle) {
      event.preventDefault();
      event.stopPropagation();
    }
    let { clientX: x, clientY: y } = event;
    const box = this.frame.getBoundingClientRect();
    const move = (moved) => {
      if (moved.pointerId !== event.pointerId || this.pinched) return;
      const [right, down] = [moved.clientX - x, moved.clientY - y];
      if (!this.hasMoved && Math.hypot(right, down) < SLACK) return;
      this.hasMoved = !isMiddle;  // a click would follow the first button only
      this.frame.setPointerCapture(event.pointerId);
      this.frame.classList.add("is-panning");
      [x, y] = [moved.clientX, moved.clientY];
      this.pan(right / box.width, down / box.height);
    };
    const ends = new AbortController();
    const end = () => { this.frame.classList.remove("is-panning"); ends.abort(); };
    addEventListener("pointermove", move, { signal: ends.signal });
    for (const kind of ["pointerup", "pointercancel"]) addEventListener(kind, end, { signal: ends.signal });
  }

  pinch(event) {
    if (event.touches.length !== 2) return;
    event.preventDefault();
    const [one, other] = event.touches;
    const box = this.frame.getBoundingClientRect();
    const apart = Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
    const middle = placeIn(box, { clientX: (one.clientX + other.clientX) / 2, clientY: (one.clientY + other.clientY) / 2 });
    if (this.pinched) {
      this.pan(middle.x - this.pinched.middle.x, middle.y - this.pinched.middle.y);
      this.by(apart / this.pinched.apart, middle);
    } else this.frame.dispatchEvent(new Event("pinch"));  // the first finger has begun something else
    this.pinched = { apart, middle };
  }
}

const placeIn = (box, { clientX, clientY }) => ({ x: (clientX - box.left) / box.width, y: (clientY - box.top) / box.height });

function tool(name, drawing, does, text = "") {
  const button = make("button", { type: "button", "aria-label": name, title: name, onclick: does });
  if (text) button.textContent = text;
  else button.append(make("svg", { viewBox: "0 0 20 20", "aria-hidden": "true" }, make("path", { d: drawing })));
  return button;
}
