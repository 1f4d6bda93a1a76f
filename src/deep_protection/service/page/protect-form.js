/** How an image is protected: the preset, the kind of answer, and when a fit stops. */

import { find, show } from "./dom.js";
import { roughly } from "./timing.js";

const PRESETS = {
  fast: "One short fit.",
  thorough: "Four independent fits, averaged.",
  paper: "The published recipe: 1,750 iterations of a large network.",
};

export class ProtectForm {
  /** @param {any} form @param {() => void} onChange */
  constructor(form, onChange) {
    this.form = form;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", () => { this.tell(); onChange(); });
    // A browser says what is missing only where it can be seen.
    form.addEventListener("invalid", ({ target }) => { target.closest("details").open = true; }, true);
    this.tell();
  }

  set(answer) {
    this.form.elements.answer.value = answer;
    this.tell();
  }

  get isContrast() {
    return this.form.elements.answer.value === "contrast";
  }

  get preset() {
    return this.form.elements.preset.value;
  }

  get options() {
    const { answer, preset, stop, seed, when, views } = this.form.elements;
    const isRestored = answer.value === "restored";
    return {
      answer: answer.value, preset: preset.value, stop: stop.value, seed: seed.value,
      when: (isRestored && when.checked && "suspicious") || null, views: (isRestored && views.checked) || null,
    };
  }

  tell() {
    show(find(".restored-only", this.form), !this.isContrast);
  }

  /** @param {{seconds: number, budget: number} | null} estimate for these settings */
  tellTime(estimate) {
    const late = estimate && estimate.seconds > estimate.budget;
    const when = estimate ? ` ${capital(roughly(estimate.seconds))} here.` : "";
    const instead = late ? ` That is longer than this server gives a job; a recorded fit of it is shown below instead.` : "";
    find(".preset-hint", this.form).textContent = `${PRESETS[this.preset]}${when}${instead}`;
    return !late;
  }
}

const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);
