/** The opening: one photograph as it came, attacked, and protected, as it was recorded; it plays by itself. */

import { calm, find, make, percent, show } from "./dom.js";

const HOLD = 2400, FLASH = 900, FRAME = 130;

export class Reel {
  /** @param {Element} root the figure */
  constructor(root) {
    this.root = root;
    this.frame = find(".reel-frame", root);
    this.told = find(".reel-told", root);
    this.pause = find(".reel-pause", root);
    this.pause.addEventListener("click", () => this.hold(!this.isHeld));
    this.isHeld = calm();
    this.timer = null;
  }

  /** @param {object} protection the recorded story; @param {string} strip address of its images, side by side */
  set(protection, strip) {
    const [clean, attacked, after] = [protection.clean[0], protection.attacked[0], protection.after[0]];
    const count = protection.trajectory.length;
    const isBack = after.label === clean.label;
    this.frames = count + 3;
    this.frame.style.backgroundImage = `url(${strip})`;
    this.frame.style.backgroundSize = `${100 * this.frames}% 100%`;
    this.steps = [
      { title: "As it came", answer: clean, mood: "", shots: [[0, HOLD]], told: `The classifier says ${clean.label}.` },
      { title: "Attacked", answer: attacked, mood: "is-wrong", shots: [[2, FLASH], [1, HOLD]], told: `No value of a pixel changed by more than ${protection.epsilon_255} of 255.` },
      { title: "Protected", answer: after, mood: isBack ? "is-right" : "is-wrong", shots: [...Array.from({ length: count }, (_, number) => [3 + number, FRAME]), [this.frames - 1, HOLD]], told: "Drawn anew, and answered by where restorations move the answer." },
    ];
    find(".reel-steps", this.root).replaceChildren(...this.steps.map((step, number) => {
      step.button = make("button", { type: "button", class: `reel-step ${step.mood}`, onclick: () => { this.hold(true); this.play(number); } },
        make("span", { class: "reel-title", text: step.title }),
        make("strong", { text: step.answer.label }),
        make("span", { text: percent(step.answer.probability) }));
      return make("li", {}, step.button);
    }));
    show(this.root, true);
    this.hold(this.isHeld);
    this.play(this.isHeld ? 2 : 0);
  }

  hold(isHeld) {
    this.isHeld = isHeld;
    this.pause.setAttribute("aria-pressed", isHeld);
    this.pause.textContent = isHeld ? "Play on" : "Pause";
    if (!isHeld && this.steps) this.play(this.number === 2 ? 0 : this.number ?? 0);
  }

  /** Shows a step, and goes on to the next unless it is held. */
  play(number) {
    clearTimeout(this.timer);
    this.number = number;
    const step = this.steps[number];
    for (const each of this.steps) each.button.setAttribute("aria-current", each === step);
    this.frame.setAttribute("aria-label", `${step.title}: the classifier says ${step.answer.label}, ${percent(step.answer.probability)}`);
    this.shoot(step, calm() ? step.shots.slice(-1) : step.shots);
  }

  /** @param {any} step @param {any} shots frames, and for how long each is shown */
  shoot(step, [[frame, milliseconds], ...rest]) {
    this.frame.style.backgroundPosition = `${(100 * frame) / (this.frames - 1)}% 0`;
    this.told.textContent = frame === 2 ? "The change, ten times as strong." : step.told;
    this.timer = setTimeout(() => {
      if (rest.length) this.shoot(step, rest);
      else if (!this.isHeld) this.play((this.number + 1) % this.steps.length);
    }, milliseconds);
  }
}
