/** The second tab: lettering out of maps, as a layer and as a list of words. */

import { blob as fetched, isAbort, LEFT, resume, run, ServiceError } from "./api.js";
import { address, announce, find, imageSize, make, percent, show } from "./dom.js";
import { Picker } from "./picker.js";
import { rove } from "./rove.js";
import { drawnMap } from "./sample-map.js";
import { Sheet } from "./map-viewer.js";
import { asCsv, asGeoJson, asJson, isSign } from "./words.js";
import { clear, tell, tellWait } from "./errors.js";
import { JobTab } from "./job-tab.js";
import { drawRecent } from "./recent.js";
import { entitle, recall } from "./state.js";
import { estimated } from "./timing.js";

export class Maps extends JobTab {
  constructor(panel) {
    super(panel);
    this.sheet = new Sheet(find(".sheet", panel), (number) => this.select(number));
    this.form = find(".extract-form", panel);
    this.form.addEventListener("change", () => this.tellChoice());
    this.layers = find(".layers", panel);
    this.picker = new Picker(panel, { title: "Drop a map here, or paste one", samplesTitle: "Or take this one, drawn by the page: the town does not exist" }, (blob, name) => this.take(blob, name));
    const draw = async () => (this.drawn = await drawnMap());
    this.picker.setSamples([{ name: "drawn-map.png", label: "A small map drawn in your browser, of a town that does not exist", get: draw }]);
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.extract(); });
    find(".cancel", this.form).addEventListener("click", () => this.work?.abort());
    find(".change", panel).addEventListener("click", () => { this.setAddress(); this.open(); });
    this.layers.addEventListener("change", () => this.showLayers());
    this.sure = find("[name=sure]", panel);
    this.signs = find("[name=signs]", panel);
    for (const input of [this.sure, this.signs]) input.addEventListener("input", () => this.sift());
  }

  setAbout(about) {
    this.about = about;
    this.picker.setLimits(about.limits);
    drawRecent(this.panel);
  }

  open() {
    this.work?.abort(LEFT);
    this.jobId = null;
    drawRecent(this.panel);
    show(find(".opening", this.panel), true);
    show(find(".bench", this.panel), false);
    find(".file-input", this.panel).focus();
  }

  take(blob, name) {
    this.work?.abort();
    this.setAddress();
    this.begin(blob, name);
    find("[type=submit]", this.form).focus({ preventScroll: true });
  }

  begin(blob, name) {
    this.work = null;
    this.working(false);
    this.jobId = null;
    this.map = { blob, name };
    show(find(".drawn-told", this.panel), blob === this.drawn);
    show(find(".opening", this.panel), false);
    show(find(".bench", this.panel), true);
    find(".file-name", this.panel).textContent = name;
    this.forget();
    this.tellChoice();
    scrollTo({ top: 0 });
  }

  forget() {
    show(this.layers, false);
    show(find(".words", this.panel), false);
    clear(find(".trouble", this.form));
    find(".extract-told", this.panel).textContent = "";
    this.words = [];
    this.rows = null;
    this.selected = null;
    this.sheet.showOnly(this.map.blob, this.map.name);
  }

  /** As they are sent: no words of one's own are the common ones. */
  options() {
    const { ocr, script, vocabulary, words } = this.form.elements;
    const chosen = vocabulary.value === "own" ? words.value.trim() || "generic" : vocabulary.value;
    return { ocr: ocr.checked, script: script.value, vocabulary: ocr.checked ? chosen : "generic" };
  }

  setOptions({ ocr, script = "latin", vocabulary = "generic" }) {
    const fields = this.form.elements;
    const isOwn = !["generic", "none"].includes(vocabulary);
    fields.ocr.checked = ocr;
    fields.script.value = script;
    fields.vocabulary.value = isOwn ? "own" : vocabulary;
    fields.words.value = isOwn ? vocabulary : "";
  }

  async extract() {
    const { blob, name } = this.map;
    const options = this.options();
    const { ocr } = options;
    await this.attend(ocr, async (how) => run("extract-text", blob, {
      ...how, options,
      onWait: (left) => tellWait(find(".trouble", this.form), left),
      onAccepted: ({ id }) => this.keep({ id, name, ...options, isDrawn: blob === this.drawn, original: blob }),
    }), async () => estimated("extract-text", await imageSize(blob), { ocr }));
  }

  /** A job by its address, whether it goes on or has ended. */
  async show(id) {
    if (id === this.jobId) return;
    this.work?.abort(LEFT);
    this.jobId = id;
    const record = await recall(id);
    if (this.jobId !== id) return;
    if (!record) {
      this.open();
      tell(this.picker.trouble, new ServiceError("gone", "This browser has not kept the map of this result."));
      return;
    }
    if (record.isDrawn) this.drawn = record.original;
    this.setOptions(record);
    this.begin(record.original, record.name);
    this.jobId = id;
    await this.attend(record.ocr, (how) => resume(id, how), async () => estimated("extract-text", await imageSize(record.original), { ocr: record.ocr }));
  }

  /** Follows a job to its end and shows what came of it. */
  async attend(ocr, work, estimate) {
    this.work?.abort();
    const own = this.work = new AbortController();
    const { signal } = own;
    const { blob, name } = this.map;
    const told = find(".extract-told", this.panel);
    this.forget();
    this.working(true);
    announce("Finding the lettering.");
    try {
      const job = await this.follow(work, estimate, { signal, onProgress: (progress) => this.timing.progress(progress) });
      const [layer, without] = await Promise.all([fetched(job.files.layer, { signal }), fetched(job.files.without_text, { signal })]);
      this.words = job.answer.words ?? [];
      this.notes = job.answer.notes ?? [];
      this.hasRead = ocr;
      this.files = { name, layer, without, size: await imageSize(blob) };
      const { words } = this;
      this.sheet.showLayers(without, layer, words, this.files.size);
      show(this.layers, true);
      show(find("[name=frames]", this.layers).closest("label"), words.length > 0);
      this.showLayers();
      this.listWords();
      this.sift();
      const found = !ocr ? "The lettering is a layer of its own now." : words.length === 0 ? "No words were found." : `${words.length} ${words.length === 1 ? "word was" : "words were"} found.`;
      told.textContent = found;
      announce(found);
      await entitle(job.id, found);
    } catch (error) {
      if (this.work !== own) return;
      told.textContent = isAbort(error) ? "Cancelled." : "";
      if (isAbort(error)) announce("Cancelled.");
      await this.giveUp(find(".trouble", this.form), error);
    } finally {
      if (this.work === own) this.working(false);
    }
  }

  tellChoice() {
    const { ocr, vocabulary } = this.form.elements;
    show(vocabulary.closest("label"), ocr.checked);
    show(find(".own-words", this.form), ocr.checked && vocabulary.value === "own");
    this.tellTime({
      kind: "extract-text", image: this.map?.blob, options: this.options(), needsToken: this.about.needs_token,
      isFree: !this.isWorking, late: "one that takes twice that is ended without a result. Cut the map into parts.",
    });
  }

  showLayers() {
    const on = (name) => find(`[name=${name}]`, this.layers).checked;
    this.sheet.layers({ lettering: on("lettering"), ground: on("ground"), frames: on("frames") });
  }

  listWords() {
    const { words } = this;
    const place = find(".words-list", this.panel);
    show(find(".words", this.panel), true);
    find(".words-notes", this.panel).textContent = this.notes.join(" ");
    show(find(".words-choice", this.panel), words.length > 0);
    if (!words.length) {
      place.replaceChildren(make("p", { class: "hint", text: this.hasRead ? "None that could be read with confidence." : "Words were not read." }));
      return;
    }
    this.rows = words.map((word, number) => {
      const row = make("tr", { tabindex: "-1" },
        make("th", { scope: "row", text: word.read_as ? `${word.text} (read ${word.read_as})` : word.text }),
        make("td", { text: `${Math.round(word.angle)}°` }),
        make("td", { text: percent(word.confidence) }));
      row.addEventListener("pointerenter", () => this.sheet.mark(number, true));
      row.addEventListener("pointerleave", () => this.sheet.mark(number, false));
      for (const kind of ["click", "focus"]) row.addEventListener(kind, () => this.select(number));
      return row;
    });
    const list = make("tbody", {}, ...this.rows);
    rove(list, "tr:not([hidden])");
    place.replaceChildren(make("div", { class: "table-frame", tabindex: "0", role: "region", "aria-labelledby": "words-title" },
      make("table", {},
        make("thead", {}, make("tr", {}, ...["Word", "Angle", "Confidence"].map((title) => make("th", { scope: "col", text: title })))),
        list)));
    this.select(null);
  }

  /** A word of the list and its frame on the map: whichever is chosen, the other shows it. */
  select(number) {
    this.selected = number;
    this.rows?.forEach((row, each) => {
      row.classList.toggle("is-selected", each === number);
      if (each === number) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    });
    this.sheet.select(number);
    this.settle();
    const row = this.rows?.[number];
    if (!row) return;
    // The list alone scrolls, not the page: whoever looks at the map goes on looking at it.
    const frame = row.closest(".table-frame");
    const head = find("thead", frame).offsetHeight;
    const [top, bottom] = [row.offsetTop - head, row.offsetTop + row.offsetHeight - frame.clientHeight];
    if (frame.scrollTop > top) frame.scrollTop = top;
    else if (frame.scrollTop < bottom) frame.scrollTop = bottom;
  }

  /** One row is reached by tab, the others by arrow keys. */
  settle() {
    const shown = (this.rows ?? []).filter((row) => !row.hidden);
    const first = shown.find((row) => row.classList.contains("is-selected")) ?? shown[0];
    for (const row of shown) row.tabIndex = row === first ? 0 : -1;
  }

  /** Which words are shown, in the list and on the map, and go into files. */
  sift() {
    const { words } = this;
    const least = Number(this.sure.value) / 100;
    const isLeftOut = (word) => this.signs.checked && isSign(word);
    const kept = words.map((word, number) => number).filter((number) => words[number].confidence >= least && !isLeftOut(words[number]));
    const shown = new Set(kept);
    this.rows?.forEach((row, number) => show(row, shown.has(number)));
    this.sheet.filter(shown);
    if (this.selected !== null && !shown.has(this.selected)) this.select(null);
    else this.settle();
    find(".sure-shown", this.panel).textContent = `${this.sure.value}\u00a0%`;
    const signs = words.filter(isSign).length;
    find(".signs-told", this.panel).textContent = this.signs.checked ? `${signs} left out` : `${signs} found`;
    find(".words-told", this.panel).textContent = `${kept.length} of ${words.length} ${words.length === 1 ? "word" : "words"} shown.${kept.length < words.length ? " The others are in no file, either." : ""}`;
    this.offerFiles(kept.map((number) => words[number]));
  }

  /** @param {Array<object>} words those that are shown */
  offerFiles(words) {
    const { name, layer, without, size } = this.files;
    const stem = name.replace(/\.\w+$/, "");
    const written = (text, type) => new Blob([text], { type });
    const files = [["Text layer", layer, `${stem}-lettering.png`], ["Map without words", without, `${stem}-without-words.png`]];
    if (this.words.length) {
      files.push(
        ["Words as JSON", written(asJson(words, name, size), "application/json"), `${stem}-words.json`],
        ["Words as CSV", written(asCsv(words), "text/csv"), `${stem}-words.csv`],
        ["Words as GeoJSON", written(asGeoJson(words), "application/geo+json"), `${stem}-words.geojson`, "Coordinates are pixels of the image, y downwards"]);
    }
    this.addresses?.forEach((old) => URL.revokeObjectURL(old));
    this.addresses = files.map(([, content]) => address(content));
    find(".downloads", this.panel).replaceChildren(make("h4", { text: "Download" }), ...files.map(([label, , file, title], number) =>
      make("a", { class: "button small", href: this.addresses[number], download: file, text: label, title, "aria-label": `Download: ${label}${title ? `. ${title}` : ""}` })));
  }

  working(isWorking) {
    this.isWorking = isWorking;
    find("[type=submit]", this.form).disabled = isWorking;
    if (!isWorking) this.timing.end();
    this.tellChoice();
    show(find(".cancel", this.form), isWorking);
    if (isWorking) find(".cancel", this.form).focus({ preventScroll: true });
    else if (document.activeElement === document.body) find("[type=submit]", this.form).focus({ preventScroll: true });
  }
}
