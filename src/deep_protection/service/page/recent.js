/** The latest results of a tab, to go back to. */

import { find, make, show } from "./dom.js";
import { forget, recent } from "./state.js";

/** @param {Element} panel the tab, with a place for them in its opening */
export async function drawRecent(panel) {
  const place = find(".recent", panel);
  const found = await recent(panel.id);
  for (const image of place.querySelectorAll("img")) URL.revokeObjectURL(image.src);
  const results = found.map(({ id, name, original, title, created }) => {
    const image = make("img", { alt: "", width: 56, height: 56 });
    if (original) image.src = URL.createObjectURL(original);
    return make("li", {}, make("a", { href: `#${panel.id}/${id}`, class: "recent-link" }, image,
      make("span", {}, make("strong", { text: name }), make("small", { text: `${title ?? "Not finished"} · ${new Date(created).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}` }))));
  });
  const forgetAll = async () => {
    for (const { id } of await recent(panel.id, Infinity)) await forget(id);
    await drawRecent(panel);
    find(".file-input", panel).focus();
  };
  place.replaceChildren(
    make("h2", { class: "samples-title", text: "Your recent results" }),
    make("ul", { class: "recent-list" }, ...results),
    make("button", { type: "button", class: "link recent-forget", text: "Forget them", onclick: forgetAll }));
  show(place, found.length > 0);
}
