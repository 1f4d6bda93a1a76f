/** How a fit went: the first answer's probability, which answer it was, and PSNR, iteration by iteration. */

import { make, percent } from "./dom.js";

const LEFT = 46, RIGHT = 14, TOP = 22, CHANCE = 150, RIBBON = 26, GAP = 20, PSNR = 104, AXIS = 40;
const HEIGHT = TOP + CHANCE + GAP + RIBBON + GAP + PSNR + AXIS;

export class Plot {
  constructor(root) {
    this.root = root;
    this.drawing = make("div", { class: "plot-drawing" });
    this.reading = make("p", { class: "plot-reading hint", "aria-hidden": "true" });
    this.table = make("details", { class: "plot-table" });
    root.append(this.drawing, this.reading, this.table);
    this.points = [];
    this.end = null;
    new ResizeObserver(() => this.draw()).observe(this.drawing);
  }

  clear(limit) {
    this.points = [];
    this.end = null;
    this.limit = limit;
    this.table.replaceChildren();
    this.draw();
  }

  /** @param {{iteration: number, psnr: number, label: string, probability: number}} point */
  add(point) {
    if (point.label === null || point.label === undefined) return;
    this.points = [...this.points.filter((old) => old.iteration < point.iteration), point];
    this.draw();
  }

  /** The whole course, with the iteration that was taken. */
  finish(points, chosen, original) {
    this.points = points.filter((point) => point.label !== null && point.label !== undefined);
    this.end = chosen;
    this.original = original;
    this.limit = null;
    this.draw();
    this.tabulate();
  }

  draw() {
    const width = this.drawing.clientWidth;
    if (!width) return;
    const { points } = this;
    const last = Math.max(points.at(-1)?.iteration ?? 0, this.end ?? 0, this.limit ?? 0, 1);
    const x = (iteration) => LEFT + ((width - LEFT - RIGHT) * iteration) / last;
    const parts = [
      ...this.chances(x, width),
      ...this.ribbon(x, width),
      ...this.psnrs(x, width),
      ...ticks(0, last, Math.max(3, Math.floor(width / 110))).map((value) =>
        text(x(value), HEIGHT - AXIS + 20, value, "middle")),
      text(width - RIGHT, HEIGHT - 4, "iteration", "end", "plot-axis"),
    ];
    if (this.end !== null && points.length) {
      const isLeft = x(this.end) > width - 110;
      parts.push(
        make("line", { x1: x(this.end), x2: x(this.end), y1: 6, y2: HEIGHT - AXIS, class: "plot-stop" }),
        text(x(this.end) + (isLeft ? -7 : 7), 14, `taken: ${this.end}`, isLeft ? "end" : "start", "plot-stop-text"));
    }
    const drawing = make("svg", { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": this.summary() }, ...parts);
    drawing.addEventListener("pointermove", (event) => this.read(event, x, last, drawing));
    drawing.addEventListener("pointerleave", () => { this.reading.textContent = ""; this.cross?.remove(); });
    this.drawing.replaceChildren(drawing);
  }

  chances(x, width) {
    const y = (share) => TOP + CHANCE * (1 - share);
    return [
      ...[0, 0.5, 1].flatMap((share) => [
        make("line", { x1: LEFT, x2: width - RIGHT, y1: y(share), y2: y(share), class: "plot-grid" }),
        text(LEFT - 8, y(share) + 4, `${100 * share} %`, "end"),
      ]),
      text(LEFT, TOP - 8, width < 320 ? "Probability" : "Probability of the first answer", "start", "plot-title"),
      line(this.points.map((point) => [x(point.iteration), y(point.probability)]), "plot-chance"),
      ...this.dot(x, (point) => y(point.probability)),
    ];
  }

  /** Which answer led when. */
  ribbon(x, width) {
    const top = TOP + CHANCE + GAP;
    const parts = [];
    for (let from = 0; from < this.points.length;) {
      let to = from;
      while (to + 1 < this.points.length && this.points[to + 1].label === this.points[from].label) to++;
      const start = from === 0 ? LEFT : x(this.points[from].iteration);
      const end = to + 1 < this.points.length ? x(this.points[to + 1].iteration) : Math.max(x(this.points[to].iteration), start + 2);
      const { label } = this.points[from];
      const isFinal = label === (this.taken()?.label ?? this.points.at(-1).label);
      parts.push(make("rect", { x: start, y: top, width: Math.max(1, end - start - 1.5), height: RIBBON, rx: 3, class: isFinal ? "plot-band is-final" : "plot-band" }));
      const room = Math.floor((end - start - 10) / 7);
      if (room >= 3) parts.push(text(start + 7, top + 17, label.length > room ? `${label.slice(0, room - 1)}…` : label, "start", isFinal ? "plot-band-text is-final" : "plot-band-text"));
      from = to + 1;
    }
    if (!parts.length) parts.push(make("rect", { x: LEFT, y: top, width: Math.max(0, width - LEFT - RIGHT), height: RIBBON, rx: 3, class: "plot-band is-empty" }));
    return parts;
  }

  psnrs(x, width) {
    const top = TOP + CHANCE + GAP + RIBBON + GAP + 18;
    const height = PSNR - 18;
    const values = this.points.map((point) => point.psnr).filter(Number.isFinite);
    const low = values.length ? Math.floor(Math.min(...values) - 0.5) : 15;
    const high = values.length ? Math.ceil(Math.max(...values) + 0.5) : 35;
    const y = (value) => top + height * (1 - (value - low) / (high - low));
    return [
      ...[low, high].flatMap((value) => [
        make("line", { x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value), class: "plot-grid" }),
        text(LEFT - 8, y(value) + 4, `${value}`, "end"),
      ]),
      text(LEFT, top - 8, "PSNR to the picture as it came in, dB", "start", "plot-title"),
      line(this.points.filter((point) => Number.isFinite(point.psnr)).map((point) => [x(point.iteration), y(point.psnr)]), "plot-psnr"),
      ...this.dot(x, (point) => y(point.psnr)),
    ];
  }

  taken() {
    if (this.end === null) return null;
    return this.points.reduce((best, point) => (Math.abs(point.iteration - this.end) < Math.abs((best?.iteration ?? Infinity) - this.end) ? point : best), null);
  }

  dot(x, y) {
    const point = this.taken() ?? this.points.at(-1);
    return point && Number.isFinite(y(point)) ? [make("circle", { cx: x(point.iteration), cy: y(point), r: 4.5, class: "plot-dot" })] : [];
  }

  read(event, x, last, drawing) {
    if (!this.points.length) return;
    const at = event.clientX - drawing.getBoundingClientRect().left;
    const near = this.points.reduce((best, point) => (Math.abs(x(point.iteration) - at) < Math.abs(x(best.iteration) - at) ? point : best));
    this.cross?.remove();
    this.cross = make("line", { x1: x(near.iteration), x2: x(near.iteration), y1: TOP, y2: HEIGHT - AXIS, class: "plot-cross" });
    drawing.append(this.cross);
    this.reading.textContent = sentence(near);
  }

  summary() {
    if (!this.points.length) return "The course of the fit will be drawn here.";
    const changes = this.points.filter((point, number) => number && point.label !== this.points[number - 1].label).length;
    const taken = this.end === null ? "" : ` Iteration ${this.end} was taken.`;
    return `Course of the fit: ${sentence(this.points[0])} to ${sentence(this.points.at(-1))}; the first answer changed ${changes === 1 ? "once" : `${changes} times`}.${taken}`;
  }

  /** The same for those who cannot see the drawing. */
  tabulate() {
    const rows = this.points.map((point) =>
      make("tr", point === this.taken() ? { class: "is-taken" } : {},
        make("td", { text: point.iteration }), make("td", { text: point.label }),
        make("td", { text: percent(point.probability) }), make("td", { text: Number.isFinite(point.psnr) ? point.psnr.toFixed(1) : "–" })));
    this.table.replaceChildren(
      make("summary", { text: "As a table" }),
      make("div", { class: "table-frame", tabindex: "0", role: "region", "aria-label": "Course of the fit as a table" },
        make("table", {},
          make("thead", {}, make("tr", {}, ...["Iteration", "First answer", "Probability", "PSNR, dB"].map((name) => make("th", { scope: "col", text: name })))),
          make("tbody", {}, ...rows))));
  }
}

const sentence = ({ iteration, label, probability, psnr }) =>
  `iteration ${iteration}: ${label}, ${percent(probability)}${Number.isFinite(psnr) ? `, ${psnr.toFixed(1)} dB` : ""}`;

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
