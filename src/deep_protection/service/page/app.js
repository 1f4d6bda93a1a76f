/** Starts the page: what the server can do, the tabs, the colours, and what is told when the server is away. */

import { json, onTokenNeeded, server, ServiceError, whenBack } from "./api.js";
import { calm, find, findAll, show } from "./dom.js";
import { LongRun } from "./long-run.js";
import { Maps } from "./maps.js";
import { Mend, mends } from "./restore.js";
import { watchTheWindow } from "./picker.js";
import { Protect } from "./protect.js";
import { Reel } from "./reel.js";
import { parse, setAddress } from "./state.js";

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

/** What the address says: a tab, and in it a job or the opening. */
function route() {
  const { tab, id } = parse(location.hash);
  if (location.hash && !(tab in parts)) return;
  const name = tab ?? "protect";
  const wasOpen = !find(`#${name}`).hidden;
  open(name);
  if (id) parts[name].show(id);
  else if (wasOpen && find(`#${name} .opening`).hidden) parts[name].open();  // back from an image to where they are chosen
}

/** Places within the page are gone to without an address: that is the job's. */
function watchPlaces() {
  for (const link of findAll("a[href='#main'], a[href='#how']")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const place = find(link.getAttribute("href"));
      place.focus({ preventScroll: true });
      place.scrollIntoView({ behavior: calm() ? "auto" : "smooth" });
    });
  }
  find(".mark").addEventListener("click", (event) => {
    event.preventDefault();
    setAddress("protect");
    open("protect");
    parts.protect.open();
  });
}

/** The address of a tab with what is open in it. */
function turnTo(tab) {
  const name = tab.getAttribute("aria-controls");
  if (tab.getAttribute("aria-selected") === "true") return;
  setAddress(name, parts[name].jobId);
  open(name);
}

function watchTabs() {
  for (const tab of tabs) {
    tab.addEventListener("click", () => turnTo(tab));
    tab.addEventListener("keydown", (event) => {
      const shown = tabs.filter((each) => !each.hidden);
      const step = { ArrowRight: 1, ArrowLeft: -1, Home: -shown.indexOf(tab), End: shown.length - 1 - shown.indexOf(tab) }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      const next = shown[(shown.indexOf(tab) + step + shown.length) % shown.length];
      turnTo(next);
      next.focus();
    });
  }
  addEventListener("hashchange", route);
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

let asking = null;

/** Asks for the token of a server that has one, once for all who wait for it; kept in memory only. */
function tokenOf(wasWrong) {
  asking ??= askForToken(wasWrong).finally(() => { asking = null; });
  return asking;
}

function askForToken(wasWrong) {
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
  route();
}

/** The recorded story of the opening; without it, the page does all the rest. */
async function tellStory() {
  try {
    const story = await (await fetch(new URL("static/story.json", document.baseURI))).json();
    parts.protect.setStory(story);
    new Reel(find(".reel")).set(story.protection, "static/story.webp");
    const longRun = new LongRun(find("#how"));
    longRun.set(story.long_run, "static/long-run.webp");
    parts.protect.onTooLong = () => {
      find("#how").scrollIntoView({ behavior: calm() ? "auto" : "smooth" });
      longRun.play();
    };
  } catch (error) {
    console.warn("the recorded story cannot be shown", error);
  }
}

watchTabs();
watchColours();
watchServer();
watchTheWindow();
onTokenNeeded(tokenOf);
for (const place of findAll(".picker, .play")) place.inert = true;  // until it is known what the server can do
open(parse(location.hash).tab);
watchPlaces();
const told = tellStory();
try {
  const found = await about();
  await told;
  setAbout(found);
  document.documentElement.dataset.ready = "true";
  for (const place of findAll(".picker, .play")) place.inert = false;
} catch (error) {
  const banner = find("#banner");
  const isClosed = error.status === 401;
  banner.textContent = isClosed ? "This server asks for a token. Reload the page to enter it." : error.code ? error.message : "This page could not start. Reload it.";
  show(banner);
  if (!error.code) console.error(error);
}
for (const panel of panels) panel.removeAttribute("data-waiting");
