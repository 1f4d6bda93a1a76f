/** How a protected answer was made: as it came, what each restoration says, where they move it, and what came of it. */

import { make, percent, saved } from "./dom.js";

const REFERENCES = {
  views: "Mirrored, nearer, farther",
  restored: "Drawn anew",
  compressed: "Compressed hard (JPEG 25)",
  mild: "Compressed mildly (JPEG 75)",
};

/**
 * @param {object} answer of a `protect` job
 * @returns {Element[]} the four steps
 */
export function stepsOf({ before, after, explanation }) {
  const { references, direction = [], strength, agreement, answer: kind } = explanation;
  const own = before[0], given = after[0];
  const others = references.filter(({ name }) => name !== "original");
  return [
    step("The answer as it came", said(own)),
    step("What each restoration says", make("table", {}, make("tbody", {}, ...others.map(({ name, label, probability }) =>
      make("tr", {}, make("th", { scope: "row", text: REFERENCES[name] ?? name }), make("td", { text: label, class: label === own.label ? "" : "is-other" }), make("td", { text: percent(probability) })))))),
    step(directionTitle(kind, strength), make("p", { class: "hint", text: `How much they agree: ${saved(agreement, 2)} of 1; restorations of clean images reach about 0.7 by chance. Below, which classes they raise and lower, in nats.` }), shifts(direction)),
    step("The answer that is given", said(given), make("p", { class: "hint", text: RESULTS[kind]?.(strength) ?? "" })),
  ];
}

const directionTitle = (kind, strength) => (kind === "contrast" && strength > 0 ? "The way they agree on" : "The way they move it");

const RESULTS = {
  own: () => "Nothing suspicious: the classifier’s own answer, untouched.",
  mild: () => "Mildly changed copies decide between the answers.",
  contrast: (strength) => (strength > 0 ? `That way, and ${saved(strength, 2)} times as far again.` : "They do not agree: the mean of what they say."),
  restored: () => "The answer that most views of the restored image get.",
};

function step(title, ...content) {
  return make("li", {}, make("h4", { text: title }), ...content);
}

function said({ label, probability }) {
  return make("p", { class: "said" }, make("strong", { text: label }), make("span", { text: percent(probability) }));
}

/** Bars to the left for what is lowered, to the right for what is raised. */
function shifts(direction) {
  const most = Math.max(...direction.map(({ shift }) => Math.abs(shift)), 1e-9);
  const rows = [...direction].sort((one, other) => other.shift - one.shift).map(({ label, shift }) => {
    const bar = make("span", { class: shift > 0 ? "shift-bar is-raised" : "shift-bar", "aria-hidden": "true" });
    bar.style.setProperty("--share", Math.abs(shift) / most);
    return make("li", {}, make("span", { class: "shift-label", text: label }), bar, make("span", { class: "shift-value", text: `${shift > 0 ? "+" : "−"}${Math.abs(shift).toFixed(1)}` }));
  });
  return make("ul", { class: "shifts", "aria-label": "How far restorations move classes, in nats" }, ...rows);
}
