/** Arrow keys within a list of which one element is reached by tab: hundreds of words are one stop, not hundreds. */

import { findAll } from "./dom.js";

/** @param {Element} root what holds them; @param {string} selector those that can be moved to */
export function rove(root, selector) {
  root.addEventListener("keydown", (/** @type {any} */ event) => {
    const all = findAll(selector, root);
    const at = all.indexOf(event.target.closest(selector));
    const last = all.length - 1;
    const next = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: last }[event.key];
    if (at < 0 || next === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    all[Math.min(last, Math.max(0, next))].focus({ preventScroll: true });
  });
}
