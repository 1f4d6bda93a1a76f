/** The second tab: lettering out of maps, as a layer and as a list of words. */

import { blob as fetched, isAbort, run } from "./api.js";
import { address, announce, bringIntoView, find, imageSize, make, percent, show, tick } from "./dom.js";
import { Picker } from "./picker.js";
import { drawnMap } from "./sample-map.js";
import { Sheet } from "./map-viewer.js";
import { clear, tell, tellWait } from "./errors.js";

export class Maps {
  constructor(panel) {
    this.panel = panel;
    this.sheet = new Sheet(find(".sheet", panel));
    this.form = find(".extract-form", panel);
    this.layers = find(".layers", panel);
    this.picker = new Picker(panel, { title: "Drop a map here, or paste one", samplesTitle: "Or take a drawn one" }, (blob, name) => this.take(blob, name));
    this.picker.setSamples([{ name: "drawn-map.png", label: "A small map drawn in your browser", get: drawnMap }]);
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.extract(); });
    find(".cancel", this.form).addEventListener("click", () => this.work?.abort());
    find(".change", panel).addEventListener("click", () => this.open());
    this.layers.addEventListener("change", () => this.showLayers());
  }

  setAbout(about) {
    this.picker.setLimits(about.limits);
  }

  open() {
    this.work?.abort();
    show(find(".opening", this.panel), true);
    show(find(".bench", this.panel), false);
    find(".file-input", this.panel).focus();
  }

  take(blob, name) {
    this.work?.abort();
    this.map = { blob, name };
    show(find(".opening", this.panel), false);
    show(find(".bench", this.panel), true);
    find(".file-name", this.panel).textContent = name;
    this.forget();
    scrollTo({ top: 0 });
    find("[type=submit]", this.form).focus({ preventScroll: true });
  }

  forget() {
    show(this.layers, false);
    show(find(".words", this.panel), false);
    clear(find(".trouble", this.form));
    find(".extract-told", this.panel).textContent = "";
    this.sheet.showOnly(this.map.blob, this.map.name);
  }

  async extract() {
    this.work?.abort();
    const work = this.work = new AbortController();
    const { signal } = work;
    const { blob, name } = this.map;
    const trouble = find(".trouble", this.form);
    const told = find(".extract-told", this.panel);
    const ocr = this.form.elements.ocr.checked;
    this.forget();
    this.working(true);
    bringIntoView(find(".bench-head", this.panel));
    told.ariaLive = "polite";
    told.textContent = ocr ? "Drawing, then reading. This takes a while." : "Drawing. This takes a while.";
    try {
      const job = await run("extract-text", blob, { options: { ocr }, signal, onWait: (left) => tellWait(trouble, left), onProgress: ({ iteration, limit }) => tick(told, `Drawing: iteration ${iteration}${limit ? ` of at most ${limit}` : ""}.`) });
      const [layer, without] = await Promise.all([fetched(job.files.layer, { signal }), fetched(job.files.without_text, { signal })]);
      const words = job.answer.words ?? [];
      this.sheet.showLayers(without, layer, words, await imageSize(blob));
      show(this.layers, true);
      show(find("[name=frames]", this.layers).closest("label"), words.length > 0);
      this.showLayers();
      this.listWords(words, ocr);
      this.offerFiles(name, layer, without, words);
      const found = !ocr ? "The lettering is a layer of its own now." : words.length === 0 ? "No words were found." : `${words.length} ${words.length === 1 ? "word was" : "words were"} found.`;
      told.textContent = found;
      announce(found);
    } catch (error) {
      if (this.work !== work) return;
      told.textContent = isAbort(error) ? "Cancelled." : "";
      if (isAbort(error)) announce("Cancelled.");
      tell(trouble, error);
    } finally {
      if (this.work === work) this.working(false);
    }
  }

  showLayers() {
    const on = (name) => find(`[name=${name}]`, this.layers).checked;
    this.sheet.layers({ lettering: on("lettering"), ground: on("ground"), frames: on("frames") });
  }

  listWords(words, ocr) {
    const place = find(".words-list", this.panel);
    show(find(".words", this.panel), true);
    if (!words.length) {
      place.replaceChildren(make("p", { class: "hint", text: ocr ? "None that could be read with confidence." : "Words were not read." }));
      return;
    }
    const rows = words.map((word, number) => {
      const row = make("tr", { tabindex: "0" },
        make("th", { scope: "row", text: word.text }),
        make("td", { text: `${Math.round(word.angle)}°` }),
        make("td", { text: percent(word.confidence) }));
      for (const on of ["pointerenter", "focus"]) row.addEventListener(on, () => this.sheet.mark(number, true));
      for (const off of ["pointerleave", "blur"]) row.addEventListener(off, () => this.sheet.mark(number, false));
      return row;
    });
    place.replaceChildren(make("div", { class: "table-frame", tabindex: "0", role: "region", "aria-labelledby": "words-title" },
      make("table", {},
        make("thead", {}, make("tr", {}, ...["Word", "Angle", "Confidence"].map((title) => make("th", { scope: "col", text: title })))),
        make("tbody", {}, ...rows))));
  }

  offerFiles(name, layer, without, words) {
    const stem = name.replace(/\.\w+$/, "");
    const list = new Blob([JSON.stringify(words, null, 2)], { type: "application/json" });
    this.addresses?.forEach((old) => URL.revokeObjectURL(old));
    const files = [["Text layer", layer, `${stem}-lettering.png`], ["Map without words", without, `${stem}-without-words.png`], ...(words.length ? [["Words as JSON", list, `${stem}-words.json`]] : [])];
    this.addresses = files.map(([, content]) => address(content));
    find(".downloads", this.panel).replaceChildren(make("h4", { text: "Download" }), ...files.map(([label, , file], number) =>
      make("a", { class: "button small", href: this.addresses[number], download: file, text: label, "aria-label": `Download: ${label}` })));
  }

  working(isWorking) {
    find("[type=submit]", this.form).disabled = isWorking;
    this.sheet.busy(isWorking);
    show(find(".cancel", this.form), isWorking);
    if (isWorking) find(".cancel", this.form).focus({ preventScroll: true });
    else if (document.activeElement === document.body) find("[type=submit]", this.form).focus({ preventScroll: true });
  }
}
