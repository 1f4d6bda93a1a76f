/** Starts the page: what the server can do, the tabs, the colours, and what is told when the server is away. */

import { json, onTokenNeeded, server, ServiceError, whenBack } from "./api.js";
import { find, findAll, show } from "./dom.js";
import { Maps } from "./maps.js";
import { Mend, mends } from "./restore.js";
import { watchTheWindow } from "./picker.js";
import { Protect } from "./protect.js";

const panels = findAll("[role=tabpanel]");
const tabs = findAll("[role=tab]");
const parts = { protect: new Protect(find("#protect")), maps: new Maps(find("#maps")), restore: new Mend(find("#restore")) };

function open(name) {
  const tab = tabs.find((each) => each.getAttribute("aria-controls") === name && !each.hidden) ?? tabs[0];
  for (const each of tabs) {
    const isOpen = each === tab;
    each.setAttribute("aria-selected", isOpen);
    each.tabIndex = isOpen ? 0 : -1;
    show(find(`#${each.getAttribute("aria-controls")}`), isOpen);
  }
}

function watchTabs() {
  for (const tab of tabs) {
    tab.addEventListener("click", () => { location.hash = tab.getAttribute("aria-controls"); });
    tab.addEventListener("keydown", (event) => {
      const shown = tabs.filter((each) => !each.hidden);
      const step = { ArrowRight: 1, ArrowLeft: -1, Home: -shown.indexOf(tab), End: shown.length - 1 - shown.indexOf(tab) }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      const next = shown[(shown.indexOf(tab) + step + shown.length) % shown.length];
      location.hash = next.getAttribute("aria-controls");
      next.focus();
    });
  }
  addEventListener("hashchange", () => {
    const name = location.hash.slice(1);
    if (!name || panels.some(({ id }) => id === name)) open(name);  // else within the page: the tab stays
  });
}

function watchColours() {
  const button = find("#theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  const tell = () => button.setAttribute("aria-pressed", isDark());
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem("theme", document.documentElement.dataset.theme);
    } catch {
      // Not kept, then.
    }
    tell();
  });
  system.addEventListener("change", tell);
  tell();
}

function watchServer() {
  const banner = find("#banner");
  server.addEventListener("gone", () => {
    banner.textContent = "The server does not answer. Trying again by itself …";
    show(banner);
  });
  server.addEventListener("back", () => {
    show(banner, false);
    find("#announcer").textContent = "The server answers again.";
  });
}

/** Asks for the token of a server that has one; kept in memory only. */
function tokenOf(wasWrong) {
  const dialog = find("#token-dialog");
  const form = find("form", dialog);
  find("#token-told").textContent = wasWrong ? "That was not it. Try again." : "It is kept until you close the page, and stored nowhere.";
  if (!dialog.open) dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const given = form.elements.token.value.trim();
      form.reset();
      resolve(given || null);
    }, { once: true });
  });
}

async function about() {
  for (;;) {
    try {
      return await json("v1/about");
    } catch (error) {
      if (!(error instanceof ServiceError) || error.code !== "unreachable") throw error;
      await whenBack();
    }
  }
}

function setAbout(found) {
  for (const part of Object.values(parts)) part.setAbout(found);
  show(find("#tab-maps"), found.kinds.includes("extract-text"));
  show(find("#tab-restore"), mends(found).length > 0);
  find(".foot-facts").textContent = `Deep Protection ${found.version}, in front of ${found.classifier}.`;
  open(location.hash.slice(1));
}

watchTabs();
watchColours();
watchServer();
watchTheWindow();
onTokenNeeded(tokenOf);
open(location.hash.slice(1));
try {
  setAbout(await about());
  document.documentElement.dataset.ready = "true";
} catch (error) {
  const banner = find("#banner");
  banner.textContent = error.code ? error.message : "This page could not start. Reload it.";
  show(banner);
  if (!error.code) console.error(error);
}
for (const panel of panels) panel.removeAttribute("data-waiting");
