/** How long something takes: an estimate before it begins, then one bar that never goes back, with seconds left. */

import { json } from "./api.js";
import { make, show } from "./dom.js";

const PHASES = {
  fitting: "Drawing", answering: "Asking the classifier", reading: "Reading", painting: "Painting over the words", attacking: "Attacking",
};
const EVERY = 250;

/** Seconds that a job is likely to take, and the budget of the server; null where that is not known. */
export async function estimated(kind, { width, height }, options = {}) {
  const query = new URLSearchParams({ width, height });
  for (const [name, value] of Object.entries(options)) {
    if (value !== "" && value !== undefined && value !== null) query.set(name, value);
  }
  try {
    return await json(`v1/estimate/${kind}?${query}`);
  } catch {
    return null;
  }
}

/** `about 3 s`, `about 2 min`. */
export function roughly(seconds) {
  if (seconds < 1.5) return "about a second";
  if (seconds < 50) return `about ${Math.round(seconds)}\u00a0s`;
  return `about ${Math.round(seconds / 60) || 1}\u00a0min`;
}

/**
 * An estimate as a sentence, with what the budget makes of it.
 * @param {{seconds: number, budget: number} | null} estimate @param {string} late what comes of a job that takes longer
 */
export function timeTold(estimate, late) {
  if (!estimate) return "";
  const { seconds, budget } = estimate;
  if (seconds > budget) return `It would take ${roughly(seconds)}. This server gives a job ${roughly(budget)}; ${late}`;
  return `It takes ${roughly(seconds)}.`;
}

export class Timing {
  /** @param {Element} root an empty element, hidden where nothing goes on */
  constructor(root) {
    this.root = root;
    this.bar = make("div", { class: "timing-fill" });
    this.track = make("div", { class: "timing-track", role: "progressbar", "aria-label": "Progress", "aria-valuemin": 0, "aria-valuemax": 100 }, this.bar);
    this.told = make("p", { class: "timing-told" });
    root.classList.add("timing");
    root.append(this.track, this.told);
  }

  /**
   * @param {number | null} expected seconds, if they are known
   * @param {{phase?: string, fitting?: number}} how what begins, and which share of the whole the fits are
   */
  begin(expected, { phase = null, fitting = 1 } = {}) {
    this.expected = expected;
    this.fitting = fitting;
    this.phase = phase;
    this.share = this.done = 0;
    this.start = phase ? performance.now() : null;
    clearInterval(this.clock);
    this.clock = setInterval(() => this.draw(), EVERY);
    show(this.root, true);
    this.draw();
  }

  /**
   * A worker has it; what it waited before does not count.
   * @param {string | null} [since] when that was, of a job that is come back to
   * @param {string | null} [phase] what is done first
   */
  run(since = null, phase = null) {
    this.phase ??= phase;
    this.start ??= performance.now() - (since ? Math.max(0, Date.now() - Date.parse(since)) : 0);
    this.draw();
  }

  /** @param {{iteration: number, limit: number, phase?: string}} progress */
  progress({ iteration, limit, phase }) {
    this.run();
    this.phase = phase ?? this.phase ?? "fitting";
    const part = limit ? iteration / limit : 0;
    this.share = Math.max(this.share, this.phase === "answering" ? this.fitting : part * this.fitting);
    this.draw();
  }

  end() {
    clearInterval(this.clock);
    show(this.root, false);
  }

  get elapsed() {
    return this.start === null ? 0 : (performance.now() - this.start) / 1000;
  }

  /** What is left: by the estimate at first, more and more by how far it has come. */
  get left() {
    const { elapsed, share, expected } = this;
    if (share < 0.02) return expected === null ? null : expected - elapsed;
    const seen = elapsed / share;
    return (1 - share) * (expected === null ? seen : (1 - share) * expected + share * seen);
  }

  draw() {
    const { elapsed, left } = this;
    const known = left === null ? this.share : elapsed / (elapsed + Math.max(left, 0.06 * elapsed, 0.1));
    this.done = Math.max(this.done, Math.min(known, 0.99));
    this.bar.style.setProperty("--done", this.done);
    this.track.setAttribute("aria-valuenow", Math.round(100 * this.done));
    const what = this.start === null ? "Waiting for a free worker" : PHASES[this.phase] ?? "Working";
    const when = this.start === null || left === null ? "" : left > 0.5 ? ` · ${roughly(left)} left` : elapsed > 1 ? " · almost done" : "";
    this.told.textContent = `${what}${when}`;
  }
}
