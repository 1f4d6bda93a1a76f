/** Errors, said plainly where they happened. */

import { isAbort } from "./api.js";
import { make, show } from "./dom.js";

export function tell(place, error) {
  if (isAbort(error)) return;
  if (!error.code) console.error(error);
  place.textContent = error.code ? error.message : "Something in this page went wrong. Reload it and try again.";
  show(place);
}

/** The same error, but for a result that the server had and has no more. */
export function gone(error) {
  if (error.status !== 404 && error.status !== 410) return error;
  return Object.assign(new Error("The server does not have this result any more. Do it again."), { code: "gone" });
}

export function clear(place) {
  place.textContent = "";
  delete place.dataset.kind;
  show(place, false);
}

/** Says how long the queue asks to wait; zero takes it away. */
export function tellWait(place, seconds) {
  if (!seconds) return clear(place);
  if (place.dataset.kind !== "wait") {
    place.dataset.kind = "wait";
    // Said once; the seconds, which go on, are only for the eye.
    place.replaceChildren("The queue is full. Trying again", make("span", { "aria-hidden": "true" }));
    show(place);
  }
  place.lastChild.textContent = ` in ${seconds} s.`;
}
