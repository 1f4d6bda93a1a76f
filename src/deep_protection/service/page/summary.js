/** What came of a restoration, in a headline and a sentence or two that promise nothing. */

import { make, percent, saved } from "./dom.js";

/**
 * @param {object} answer of a `protect` job
 * @param {object | null} attack answer of the `attack` job that made its picture, if one did
 */
export function outcomeOf(answer, attack) {
  const facts = [whyOf(answer.explanation), factsOf(answer)].filter(Boolean).join(" ");
  if (!answer.restored) {
    return { title: "Left as it was.", told: "The detector found nothing suspicious, so the image was not restored." };
  }
  const [before, after] = [answer.before[0], answer.after[0]];
  const now = `${after.label} with ${percent(after.probability)}`;
  const how = answer.explanation ? "protected" : "restored";
  if (answer.explanation?.answer === "own" && !attack?.fooled) {
    return { title: "Nothing suspicious.", told: `The answer is ${now}. ${facts}` };
  }
  if (attack?.fooled) {
    const original = attack.before[0];
    const was = `Attacked, the classifier said ${before.label} with ${percent(before.probability)}`;
    if (after.label === original.label) {
      return { title: "The original’s first answer is back.", told: `${was}; ${how} it says ${now}. ${facts}` };
    }
    const place = answer.after.findIndex(({ label }) => label === original.label) + 1;
    const left = place ? `is now in place ${place}` : "is not among the first five";
    return { title: "The original’s first answer did not come back.", told: `${was}; ${how} it says ${now}. ${capital(original.label)} ${left}. ${facts}` };
  }
  if (after.label === before.label) {
    return { title: "The first answer stayed.", told: `It was ${before.label} with ${percent(before.probability)} and is ${now}. ${facts}` };
  }
  return {
    title: "The first answer changed.",
    told: `It was ${before.label} with ${percent(before.probability)} and is ${now}. That may be an attack undone, or detail lost in restoring. ${facts}`,
  };
}

/** Which answer was taken and why, in plain words. */
function whyOf(explanation) {
  if (!explanation) return "";
  const { answer, is_suspicious: isSuspicious, p_value: p, strength } = explanation;
  const often = p === null ? "" : ` (${p < 0.01 ? "fewer than 1 in 100" : percent(p)} of clean images stand out as much)`;
  const seen = isSuspicious ? `The image looks attacked${often}` : `The image does not look attacked${often}`;
  return {
    own: `${seen}, so this is the classifier’s own answer.`,
    mild: isSuspicious
      ? `${seen}, and mildly changed copies of the image decide.`
      : "The first two answers are too close to call: mildly changed copies of the image decide between them.",
    contrast: strength > 0
      ? `${seen}, and restorations of it move the answer in one direction: this is the answer ${saved(strength, 2)} times as far again that way.`
      : `${seen}, but restorations of it move the answer this way and that: this is the mean of the answers to them.`,
    restored: `${seen}, and the classifier names one label and no more: this is the one that it gives most views of the restored image.`,
  }[answer] ?? "";
}

function factsOf(answer) {
  const { iteration_chosen: chosen, iterations_run: run, seconds } = answer;
  if (!chosen || !run) return "";
  const taken = chosen === run ? `${run} iterations` : `Iteration ${chosen} of ${run} was taken`;
  return `${taken}${seconds ? `, in ${inSeconds(seconds)}` : ""}.${cutShort(answer)}`;
}

export const inSeconds = (seconds) => `${saved(seconds, 2)}\u00a0s`;

/** A sentence where the server ended a fit before it was ready. */
export const cutShort = ({ stop_reason: reason }) =>
  reason?.startsWith("time budget") ? " The time that this server gives a job was spent, so it ended early." : "";

/**
 * The detector's verdict as elements.
 * @param {object} answer of a `detect` job
 * @param {string} which image it is about
 */
export function verdictOf(answer, which) {
  const { is_suspicious: isSuspicious, p_value: p, false_positive_rate: rate } = answer;
  const often = p < 0.01 ? "Fewer than 1 in 100" : `About ${percent(p)}`;
  return [
    make("p", { class: isSuspicious ? "verdict-title is-suspicious" : "verdict-title", text: isSuspicious ? `The detector flags ${which}.` : `The detector finds nothing in ${which}.` }),
    make("p", { class: "hint", text: `${often} of clean images stand out as much as it does. Below ${percent(rate)} an image is flagged.` }),
    evidence(answer.evidence),
  ];
}

function evidence(found = {}) {
  const rows = Object.entries(found).map(([name, value]) =>
    make("tr", {}, make("th", { scope: "row", text: name }), make("td", { text: `${value >= 0 ? "+" : "−"}${Math.abs(value).toFixed(1)} σ` })));
  if (!rows.length) return "";
  return make("details", {}, make("summary", { text: "Evidence" }), make("p", { class: "hint", text: "In standard deviations of clean images." }), make("table", {}, make("tbody", {}, ...rows)));
}

const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);
