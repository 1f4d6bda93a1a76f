/** Which attack, how strong, at which class; and in words what it did. */

import { json } from "./api.js";
import { find, make, saved, show } from "./dom.js";
import { roughly } from "./timing.js";

const SLOW = 10;
/** Seconds from which an attack's time is told beside its name. */

export class AttackForm {
  /** @param {any} form @param {() => void} onChange */
  constructor(form, onChange) {
    this.form = form;
    this.rows = [];
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", () => { this.tell(); onChange(); });
    form.closest("details").addEventListener("toggle", () => this.fetchLabels());
  }

  offer(rows) {
    this.rows = rows;
    this.form.elements.attack.replaceChildren(...rows.map(({ name, label, seconds }) =>
      make("option", { value: name, text: `${withoutSize(label)}${seconds > SLOW ? ` – ${roughly(seconds)}` : ""}`, selected: name === "pgd" })));
    this.tell();
  }

  /** @param {{attack: string, epsilon_255?: string, target?: string}} options as they were sent */
  set({ attack, epsilon_255: epsilon, target = "" }) {
    const fields = this.form.elements;
    fields.attack.value = attack;
    fields.epsilon.value = epsilon ?? fields.epsilon.value;
    fields.target.value = target;
    this.tell();
  }

  get row() {
    return this.rows.find(({ name }) => name === this.form.elements.attack.value);
  }

  get options() {
    const { attack, epsilon, target } = this.form.elements;
    return {
      attack: attack.value,
      ...(this.row?.has_epsilon ? { epsilon_255: epsilon.value } : {}),
      ...(this.row?.can_aim && target.value.trim() ? { target: target.value.trim() } : {}),
    };
  }

  tell() {
    const { epsilon } = this.form.elements;
    show(find(".epsilon-field", this.form), Boolean(this.row?.has_epsilon));
    show(find(".target-field", this.form), Boolean(this.row?.can_aim));
    find(".epsilon-shown", this.form).textContent = `${epsilon.value}/255`;
    epsilon.setAttribute("aria-valuetext", `${epsilon.value} of 255`);
  }

  async fetchLabels() {
    const list = find("#labels");
    if (list.childElementCount || !this.rows.length) return;
    const labels = await json("v1/labels").catch(() => []);
    list.replaceChildren(...[...new Set(labels)].map((label) => make("option", { value: label })));
  }
}

/** What an attack did, in words. */
export function attackTold({ before, after, fooled, attack, target, undone_by_rounding: undone, linf, l2, pixels_changed: changed, size }) {
  const many = size[0] * size[1];
  const how = attack === "saltpepper"
    ? `${changed.toLocaleString("en-GB")} of ${many.toLocaleString("en-GB")} pixels changed, to black or to white.`
    : `No value of a pixel changed by more than ${saved(255 * linf, 2)} of 255; L2\u00a0norm\u00a0${saved(l2, 2)}.`;
  if (!fooled && undone) return `Not fooled: the change is so small that 8-bit files do not hold it, and rounding to one undid it.`;
  if (!fooled) return `Not fooled: still ${after[0].label}. ${how}`;
  const aim = target && after[0].label !== target ? ` It was to be ${target}.` : "";
  return `Fooled: ${before[0].label} became ${after[0].label}.${aim} ${how}`;
}

/** Its size is set beside it. */
const withoutSize = (label) => label.replace(/, [\d.]+\/255/, "");
