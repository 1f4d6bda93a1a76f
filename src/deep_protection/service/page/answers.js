/** What the classifier answers, one row a state of the image: as it came, attacked, protected. */

import { make, percent } from "./dom.js";

/**
 * @param {Element} root
 * @param {Array<{title: string, answer: {label: string, probability: number}, mood: string}>} rows
 *   green only for what is known to be right, red for what is known to be wrong
 */
export function drawRows(root, rows) {
  root.replaceChildren(...rows.map(({ title, answer, mood }) => {
    const fill = make("div", { class: "meter-fill" });
    fill.style.setProperty("--share", answer.probability);
    return make("li", { class: `answer-row ${mood}` },
      make("span", { class: "answer-title", text: title }),
      make("strong", { class: "answer-label", text: answer.label }),
      make("span", { class: "answer-share", text: percent(answer.probability) }),
      make("div", { class: "meter", "aria-hidden": "true" }, fill));
  }));
}
