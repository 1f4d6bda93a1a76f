/** The five best answers, column by column: original, attacked, restored. */

import { make, percent } from "./dom.js";

/**
 * @param {HTMLElement} root
 * @param {Array<{title: string, top: Array<{label: string, probability: number}>, isAfter?: boolean}>} columns
 */
export function drawBars(root, columns) {
  const first = columns[0]?.top[0]?.label;
  root.replaceChildren(
    ...columns.map(({ title, top, isAfter }) =>
      make("section", { class: isAfter ? "column is-after" : "column" },
        make("h4", { text: title }),
        make("ol", {}, ...top.slice(0, 5).map((answer) => row(answer, answer.label === first))))));
  root.dataset.columns = String(columns.length);
}

function row({ label, probability }, isFirst) {
  const fill = make("div", { class: "bar-fill" });
  fill.style.setProperty("--share", probability);
  return make("li", { class: isFirst ? "bar is-first" : "bar" },
    make("span", { class: "bar-label", text: label }),
    make("span", { class: "bar-share", text: percent(probability) }),
    make("div", { class: "bar-track", "aria-hidden": "true" }, fill));
}
