/** What came of a restoration, in a headline and a sentence or two that promise nothing. */

import { make, percent, saved } from "./dom.js";

/**
 * @param {object} answer of a `protect` job
 * @param {object | null} attack answer of the `attack` job that made its picture, if one did
 */
export function outcomeOf(answer, attack) {
  const facts = [whyOf(answer.explanation), factsOf(answer)].filter(Boolean).join(" ");
  if (!answer.restored) {
    return { title: "Left as it was.", told: "The detector found nothing suspicious, so the picture was not restored." };
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
  const often = p === null ? "" : ` (${p < 0.01 ? "fewer than 1 in 100" : percent(p)} of clean pictures stand out as much)`;
  const seen = isSuspicious ? `The picture looks attacked${often}` : `The picture does not look attacked${often}`;
  return {
    own: `${seen}, so this is the classifier’s own answer.`,
    mild: isSuspicious
      ? `${seen}, and mild changes are enough to undo it: mildly changed copies of the picture decide.`
      : "The first two answers are too close to call: mildly changed copies of the picture decide between them.",
    contrast: strength > 0
      ? `${seen}, and restorations of it move the answer in one direction: this is the answer ${saved(strength, 2)} times as far again that way.`
      : `${seen}, but restorations of it move the answer this way and that: this is the mean of the answers to them.`,
    restored: `${seen}, and the classifier names one label and no more: this is the one that it gives most views of the restored picture.`,
  }[answer] ?? "";
}

const REFERENCES = {
  original: "The picture as it came in",
  views: "Mirrored, nearer and farther",
  restored: "Restored",
  compressed: "Strongly compressed (JPEG 25)",
  mild: "Mildly compressed (JPEG 75)",
};

/** The first answer to each picture that was asked about. */
export function referencesOf({ references }) {
  const rows = references.map(({ name, label, probability }) =>
    make("tr", {},
      make("th", { scope: "row", text: REFERENCES[name] ?? name }),
      make("td", { text: label }),
      make("td", { text: percent(probability) })));
  return make("table", {}, make("tbody", {}, ...rows));
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

/** @param {object} answer of a `detect` job */
export function verdictOf(answer) {
  const rate = percent(answer.false_positive_rate);
  const often = answer.p_value < 0.01 ? "fewer than 1 in 100 clean pictures stand" : `${percent(answer.p_value)} of clean pictures stand`;
  return {
    title: answer.is_suspicious ? "Suspicious" : "Nothing suspicious",
    told: `About ${often} out as much as this one. Of clean pictures ${rate} are flagged at this setting.`.replace("About fewer", "Fewer"),
  };
}

const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);
