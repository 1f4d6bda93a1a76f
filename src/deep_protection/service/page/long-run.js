/** A recorded fit that was not stopped: its course, and what had been drawn at some moments of it. */

import { calm, find, show } from "./dom.js";
import { Plot } from "./plot.js";

export class LongRun {
  /** @param {Element} root of the section */
  constructor(root) {
    this.root = find(".long-run", root);
    this.frame = find(".long-run-frame", root);
    this.plot = new Plot(find(".long-run-plot", root), (point) => this.lookAt(point.iteration));
  }

  /** @param {{followed: string[], trajectory: object[], moments: number[]}} course @param {string} strip its images */
  set({ followed, trajectory, moments }, strip) {
    this.moments = moments;
    this.frame.style.backgroundImage = `url(${strip})`;
    this.frame.style.backgroundSize = `${100 * (moments.length + 1)}% 100%`;
    show(this.root, true);
    this.plot.finish(trajectory, followed);
    const best = trajectory.reduce((found, point, number) => (point.followed[1] > trajectory[found].followed[1] ? number : found), 0);
    this.plot.lookAt(best);
  }

  /** Goes along it by itself, once. */
  play() {
    clearInterval(this.clock);
    if (calm()) return;
    const { points } = this.plot;
    let number = 0;
    this.clock = setInterval(() => {
      if (number >= points.length) clearInterval(this.clock);
      else this.plot.lookAt(number++);
    }, 90);
    this.plot.slider.addEventListener("pointerdown", () => clearInterval(this.clock), { once: true });
  }

  /** The image nearest to a moment; only a few were kept. */
  lookAt(iteration) {
    const near = this.moments.reduce((best, moment, number) => (Math.abs(moment - iteration) < Math.abs(this.moments[best] - iteration) ? number : best), 0);
    this.frame.style.backgroundPosition = `${(100 * (near + 1)) / this.moments.length}% 0`;
    this.frame.setAttribute("aria-label", `What was drawn at iteration ${this.moments[near]}`);
    this.frame.dataset.moment = `iteration ${this.moments[near]}`;
  }
}
