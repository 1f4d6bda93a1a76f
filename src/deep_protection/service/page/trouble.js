/** Errors, said plainly where they happened. */

import { isAbort } from "./api.js";
import { show } from "./dom.js";

export function tell(place, error) {
  if (isAbort(error)) return;
  if (!error.code) console.error(error);
  place.textContent = error.code ? error.message : "Something in this page went wrong. Reload it and try again.";
  show(place);
}

export function clear(place) {
  place.textContent = "";
  delete place.dataset.kind;
  show(place, false);
}

/** Says how long the queue asks to wait; zero takes it away. */
export function tellWait(place, seconds) {
  if (!seconds) return clear(place);
  place.dataset.kind = "wait";
  place.textContent = `The queue is full. Trying again in ${seconds} s.`;
  show(place);
}
