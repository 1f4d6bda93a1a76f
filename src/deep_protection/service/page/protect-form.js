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

  /** @param {Record<string, any>} options as they were sent; what is not among them stays */
  set({ answer, preset, stop, seed, when, views }) {
    const fields = this.form.elements;
    for (const [name, value] of Object.entries({ answer, preset, stop, seed })) {
      if (value !== undefined && value !== null) fields[name].value = value;
    }
    fields.when.checked = Boolean(when);
    fields.views.checked = Boolean(views);
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

  /**
   * @param {{seconds: number, budget: number} | null} estimate for these settings
   * @returns {boolean} whether it is the published recipe and could not end here
   */
  tellTime(estimate) {
    const isLate = Boolean(estimate) && estimate.seconds > estimate.budget;
    const isRecorded = isLate && this.preset === "paper" && !this.form.elements.stop.value;
    const when = estimate ? ` ${capital(roughly(estimate.seconds))} here.` : "";
    const instead = isRecorded ? " a recorded fit of it is shown instead." : " it ends there with what it has.";
    find(".preset-hint", this.form).textContent = `${PRESETS[this.preset]}${when}${isLate ? ` That is longer than this server gives a job:${instead}` : ""}`;
    return isRecorded;
  }
}

const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);
