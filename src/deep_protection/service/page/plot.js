/** How a fit went: the probabilities of two answers and PSNR, iteration by iteration, and a slider along them. */

import { make, percent, show } from "./dom.js";

const LEFT = 46, RIGHT = 14, TOP = 24, CHANCE = 150, GAP = 34, PSNR = 70, AXIS = 36;

export class Plot {
  /** @param {Element} root @param {(point: object, number: number) => void} onMoment told which moment is looked at */
  constructor(root, onMoment = () => {}) {
    this.onMoment = onMoment;
    this.drawing = make("div", { class: "plot-drawing" });
    this.slider = make("input", { type: "range", class: "plot-slider", min: "0", max: "0", step: "1", "aria-label": "Moment of the fit" });
    this.slider.addEventListener("input", () => this.lookAt(Number(this.slider.value)));
    this.reading = make("p", { class: "plot-reading hint", role: "status" });
    this.table = make("details", { class: "plot-table" });
    root.append(this.drawing, this.slider, this.reading, this.table);
    this.clear();
    new ResizeObserver(() => this.draw()).observe(this.drawing);
  }

  /** @param {string | null} first the answer as it came, which is followed from the start */
  clear(first = null) {
    this.points = [];
    this.names = first ? [first] : [];
    this.end = this.at = null;
    this.table.replaceChildren();
    this.reading.textContent = "";
    show(this.slider, false);
    this.draw();
  }

  /** A moment of a fit that goes on; its two answers are the one as it came and what leads instead. */
  add({ iteration, psnr, top }) {
    if (!top?.length) return;
    const other = top.find(({ label }) => label !== this.names[0]);
    if (this.names.length < 2 && other) this.names.push(other.label);
    const followed = this.names.map((name) => top.find(({ label }) => label === name)?.probability ?? 0);
    this.points = [...this.points.filter((old) => old.iteration < iteration), { iteration, psnr, top, label: top[0].label, followed }];
    this.draw();
  }

  /**
   * The whole course.
   * @param {Array<{iteration: number, psnr: number, label: string, followed: number[]}>} points
   * @param {string[]} names of the answers that are followed: the one as it came, and the one that was given
   * @param {number | null} chosen the iteration that was taken
   */
  finish(points, names, chosen = null) {
    this.points = points.filter(({ followed }) => followed);
    this.names = names;
    this.end = chosen;
    this.at = null;
    show(this.slider, this.points.length > 1);
    this.slider.max = Math.max(0, this.points.length - 1);
    const taken = this.points.findIndex(({ iteration }) => iteration >= (chosen ?? Infinity));
    this.slider.value = taken < 0 ? this.points.length - 1 : taken;
    this.draw();
    this.tabulate();
  }

  lookAt(number) {
    const point = this.points[number];
    if (!point) return;
    this.at = number;
    this.slider.value = number;
    this.reading.textContent = this.sentence(point);
    this.slider.setAttribute("aria-valuetext", this.reading.textContent);
    this.draw();
    this.onMoment(point, number);
  }

  /** Looks at no moment any more. */
  leave() {
    this.at = null;
    this.reading.textContent = "";
    this.draw();
  }

  get hasPsnr() {
    return this.points.some(({ psnr }) => Number.isFinite(psnr));
  }

  draw() {
    const width = this.drawing.clientWidth;
    if (!width) return;
    const height = TOP + CHANCE + (this.hasPsnr ? GAP + PSNR : 0) + AXIS;
    const last = Math.max(this.points.at(-1)?.iteration ?? 0, this.end ?? 0, 1);
    const x = (iteration) => LEFT + ((width - LEFT - RIGHT) * iteration) / last;
    const parts = [...this.chances(x, width), ...(this.hasPsnr ? this.psnrs(x, width) : [])];
    for (const value of ticks(0, last, Math.max(3, Math.floor(width / 110)))) parts.push(text(x(value), height - AXIS + 18, value, "middle"));
    parts.push(text(width - RIGHT, height - 4, "iteration", "end", "plot-axis"));
    if (this.end !== null && this.points.length) parts.push(...upright(x(this.end), height, width, `taken: ${this.end}`));
    if (this.at !== null) parts.push(make("line", { x1: x(this.points[this.at].iteration), x2: x(this.points[this.at].iteration), y1: TOP, y2: height - AXIS, class: "plot-cross" }));
    const drawing = make("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": this.summary() }, ...parts);
    const pick = (event) => {
      const at = event.clientX - drawing.getBoundingClientRect().left;
      const near = this.points.reduce((best, point, number) => (Math.abs(x(point.iteration) - at) < Math.abs(x(this.points[best].iteration) - at) ? number : best), 0);
      if (near !== this.at) this.lookAt(near);
    };
    if (!this.slider.hidden) {
      drawing.addEventListener("pointermove", (event) => { if (event.pointerType === "mouse" || event.buttons) pick(event); });
      drawing.addEventListener("pointerdown", pick);
    }
    this.drawing.replaceChildren(drawing);
  }

  chances(x, width) {
    const y = (share) => TOP + CHANCE * (1 - share);
    const parts = [0, 0.5, 1].flatMap((share) => [
      make("line", { x1: LEFT, x2: width - RIGHT, y1: y(share), y2: y(share), class: "plot-grid" }),
      text(LEFT - 8, y(share) + 4, `${100 * share} %`, "end"),
    ]);
    this.names.forEach((name, number) => {
      const places = this.points.map(({ iteration, followed }) => [x(iteration), y(followed[number] ?? 0)]);
      parts.push(line(places, `plot-chance is-${number ? "given" : "came"}`));
    });
    parts.push(...legend(this.names, width));
    return parts;
  }

  psnrs(x, width) {
    const top = TOP + CHANCE + GAP + 16;
    const points = this.points.filter(({ psnr }) => Number.isFinite(psnr));
    const values = points.map(({ psnr }) => psnr);
    const low = Math.floor(Math.min(...values) - 0.5), high = Math.ceil(Math.max(...values) + 0.5);
    const y = (value) => top + (PSNR - 16) * (1 - (value - low) / (high - low));
    return [
      ...[low, high].flatMap((value) => [
        make("line", { x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value), class: "plot-grid" }),
        text(LEFT - 8, y(value) + 4, `${value}`, "end"),
      ]),
      text(LEFT, top - 8, "PSNR to the image as it came, dB", "start", "plot-title"),
      line(points.map(({ iteration, psnr }) => [x(iteration), y(psnr)]), "plot-psnr"),
    ];
  }

  summary() {
    if (!this.points.length) return "The course of the fit will be drawn here.";
    const taken = this.end === null ? "" : ` Iteration ${this.end} was taken.`;
    return `Course of the fit, from ${this.sentence(this.points[0])} to ${this.sentence(this.points.at(-1))}.${taken}`;
  }

  sentence({ iteration, followed, psnr }) {
    const each = this.names.map((name, number) => `${name} ${percent(followed[number] ?? 0)}`).join(", ");
    return `iteration ${iteration}: ${each}${Number.isFinite(psnr) ? `; ${psnr.toFixed(1)} dB` : ""}`;
  }

  /** The same for those who cannot see the drawing. */
  tabulate() {
    const rows = this.points.map((point) =>
      make("tr", point.iteration === this.end ? { class: "is-taken" } : {},
        make("td", { text: point.iteration }), ...this.names.map((_, number) => make("td", { text: percent(point.followed[number] ?? 0) })),
        make("td", { text: point.label ?? "" }), make("td", { text: Number.isFinite(point.psnr) ? point.psnr.toFixed(1) : "–" })));
    const titles = ["Iteration", ...this.names, "First answer", "PSNR, dB"];
    this.table.replaceChildren(
      make("summary", { text: "As a table" }),
      make("div", { class: "table-frame", tabindex: "0", role: "region", "aria-label": "Course of the fit as a table" },
        make("table", {}, make("thead", {}, make("tr", {}, ...titles.map((name) => make("th", { scope: "col", text: name })))), make("tbody", {}, ...rows))));
  }
}

/** The names of the lines, in their colours. */
function legend(names, width) {
  const room = Math.max(6, Math.floor((width - LEFT - RIGHT) / 2 / 7.5) - 3);
  const short = (name) => (name.length > room ? `${name.slice(0, room - 1)}…` : name);
  return names.map((name, number) =>
    text(number ? width - RIGHT : LEFT, TOP - 9, `${number ? "" : "as it came: "}${short(name)}`, number ? "end" : "start", `plot-name is-${number ? "given" : "came"}`));
}

function upright(x, height, width, words) {
  const isLeft = x > width - 110;
  return [
    make("line", { x1: x, x2: x, y1: TOP, y2: height - AXIS, class: "plot-stop" }),
    text(x + (isLeft ? -7 : 7), TOP + CHANCE - 8, words, isLeft ? "end" : "start", "plot-stop-text"),
  ];
}

const line = (places, name) => make("polyline", { points: places.map((place) => place.map((value) => value.toFixed(1)).join(",")).join(" "), class: name });

const text = (x, y, content, anchor, name = "plot-label") => make("text", { x, y, "text-anchor": anchor, class: name, text: content });

/** Round values between two, about as many as asked for. */
function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, [1, 2, 5, 10].find((factor) => factor * power >= rough) * power);
  const found = [];
  for (let value = low; value <= high + 1e-9; value += step) found.push(Math.round(value));
  return found;
}
