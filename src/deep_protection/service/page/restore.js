/** The third tab: images that nobody attacked, but that are noisy, compressed, scratched or small. */

import { blob as fetched, isAbort, LEFT, resume, run, ServiceError } from "./api.js";
import { address, announce, bringIntoView, find, findAll, imageSize, make, show } from "./dom.js";
import { Brush } from "./brush.js";
import { cutShort, inSeconds } from "./summary.js";
import { Picker, sampleFrom } from "./picker.js";
import { compressed, noisy, shrunk } from "./degrade.js";
import { Stage } from "./compare.js";
import { clear, tell, tellWait } from "./errors.js";
import { JobTab } from "./job-tab.js";
import { drawRecent } from "./recent.js";
import { entitle, recall } from "./state.js";
import { estimated } from "./timing.js";

const KINDS = {
  denoise: { title: "Noise", label: "It is noisy", hint: "Grain of a weak light or a high ISO.", options: sigmaField },
  dejpeg: { title: "Compression", label: "It was compressed too hard", hint: "Blocks and rings of JPEG." },
  inpaint: { title: "Missing parts", label: "Parts are missing", hint: "Scratches, dust, writing: paint over them." },
  upscale: { title: "Enlarged", label: "It is too small", hint: "Twice or four times as wide.", options: factorField },
};

export const mends = (about) => Object.keys(KINDS).filter((kind) => about.kinds.includes(kind));

export class Mend extends JobTab {
  constructor(panel) {
    super(panel);
    this.stage = new Stage(find(".stage", panel));
    this.brush = new Brush(find(".brush", panel), this.stage, () => this.tellMask());
    this.form = find(".mend-form", panel);
    this.picker = new Picker(panel, { title: "Drop an image here, or paste one", samplesTitle: "Or take one of these and spoil it" }, (blob, name) => this.take(blob, name));
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.mend(); });
    find(".cancel", this.form).addEventListener("click", () => this.work?.abort());
    find(".change", panel).addEventListener("click", () => { this.setAddress(); this.open(); });
    this.form.addEventListener("change", () => this.tellChoice());
    for (const button of findAll("[data-spoil]", panel)) button.addEventListener("click", () => this.spoil(button.dataset.spoil));
    find(".unspoil", panel).addEventListener("click", () => this.take(this.original.blob, this.original.name));
    find(".mask-again", panel).addEventListener("click", () => this.backToImage());
    find(".go-on", panel).addEventListener("click", () => this.goOn());
    find(".go-back", panel).addEventListener("click", () => this.goBack(this.past.length - 1));
    find(".go-first", panel).addEventListener("click", () => this.goBack(0));
  }

  setAbout(about) {
    this.about = about;
    this.picker.setLimits(about.limits);
    this.picker.setSamples((about.samples ?? []).map(({ name, url }, number) => ({ name, label: `Sample photograph ${number + 1}`, get: sampleFrom(url) })));
    const kinds = mends(about);
    find(".choices", this.form).replaceChildren(...kinds.map((kind, number) => {
      const input = make("input", { type: "radio", name: "kind", value: kind, checked: number === 0 });
      input.addEventListener("change", () => this.choose(kind));
      return make("label", { class: "choice" }, input, make("span", {}, make("strong", { text: KINDS[kind].label }), make("small", { text: KINDS[kind].hint })));
    }));
    if (kinds.length) this.choose(kinds[0]);
    drawRecent(this.panel);
  }

  choose(kind) {
    this.kind = kind;
    const options = KINDS[kind].options;
    find(".mend-options", this.form).replaceChildren(...(options ? [options()] : []));
    for (const input of findAll("[name=kind]", this.form)) input.checked = input.value === kind;
    this.backToImage();
  }

  open() {
    this.work?.abort(LEFT);
    this.jobId = null;
    drawRecent(this.panel);
    show(find(".opening", this.panel), true);
    show(find(".bench", this.panel), false);
    find(".file-input", this.panel).focus();
  }

  async take(blob, name) {
    this.setAddress();
    this.original = { blob, name };
    show(find(".unspoil", this.panel), false);
    this.stage.zoom.fit();
    await this.workOn(blob, name);
    scrollTo({ top: 0 });
    find("[name=kind]:checked", this.form)?.focus({ preventScroll: true });
  }

  /** @param {Blob} blob @param {string} name @param {Array<Blob>} past what it was before each repair that led here */
  async workOn(blob, name, past = [], id = null) {
    this.work?.abort();
    this.work = null;
    this.working(false);
    this.jobId = id;
    this.current = { blob, name };
    this.past = past;
    this.brush.reset(await imageSize(blob));
    show(find(".opening", this.panel), false);
    show(find(".bench", this.panel), true);
    find(".file-name", this.panel).textContent = name;
    const times = past.length === 1 ? "once" : past.length === 2 ? "twice" : `${past.length} times`;
    find(".steps-told", this.panel).textContent = past.length ? `Repaired ${times}.` : "";
    show(find(".steps-taken", this.panel), past.length > 0);
    show(find(".go-first", this.panel), past.length > 1);
    this.backToImage();
  }

  /** The result is what the next repair begins with. */
  async goOn() {
    await this.workOn(this.mended, this.current.name, [...this.past, this.current.blob]);
    announce("The result is the image now.");
    find("[name=kind]:checked", this.form)?.focus({ preventScroll: true });
  }

  /** To what it was before one of the repairs. */
  async goBack(step) {
    await this.workOn(this.past[step], this.current.name, this.past.slice(0, step));
    announce(step ? "The last repair was undone." : "The image as it was before any repair.");
    find("[name=kind]:checked", this.form)?.focus({ preventScroll: true });
  }

  backToImage() {
    if (!this.current) return;
    this.tellChoice();
    clear(find(".trouble", this.form));
    show(find(".mended", this.panel), false);
    this.stage.showOnly(this.current.blob, `${this.past.length ? "The image, repaired so far" : "The image as it came in"}: ${this.current.name}`);
    this.painting(this.kind === "inpaint");
    this.tellMask();
  }

  painting(isPainting) {
    show(find(".brush", this.panel), isPainting);
    this.brush.shown(isPainting);
  }

  tellMask() {
    const needsMask = this.kind === "inpaint" && this.brush.isEmpty;
    find(".mend-told", this.panel).textContent = needsMask ? "Paint over what is missing first." : "";
    find("[type=submit]", this.form).disabled = needsMask;
  }

  async spoil(how) {
    const blob = await { noise: noisy, jpeg: compressed, small: shrunk }[how](this.original.blob);
    await this.workOn(blob, this.original.name);
    const fitting = { noise: "denoise", jpeg: "dejpeg", small: "upscale" }[how];
    if (find(`[value=${fitting}]`, this.form)) this.choose(fitting);
    show(find(".unspoil", this.panel), true);
    announce("The image was spoiled.");
  }

  async mend() {
    const { kind, past } = this;
    const { blob, name } = this.current;
    const options = optionsOf(this.form, kind);
    const mask = kind === "inpaint" ? this.brush.mask() : undefined;
    await this.attend(kind, async (how) => run(kind, blob, {
      ...how, options, mask: await mask,
      onWait: (left) => tellWait(find(".trouble", this.form), left),
      onAccepted: ({ id }) => this.keep({ id, name, kind, options, original: blob, past }),
    }), async () => estimated(kind, await imageSize(blob), options));
  }

  /** A job by its address, whether it goes on or has ended. */
  async show(id) {
    if (id === this.jobId) return;
    this.work?.abort(LEFT);
    this.work = null;
    this.jobId = id;
    const record = await recall(id);
    if (this.jobId !== id) return;
    if (!record) {
      this.open();
      tell(this.picker.trouble, new ServiceError("gone", "This browser has not kept the image of this result."));
      return;
    }
    const { kind, options, original, past, name } = record;
    this.original = { blob: past[0] ?? original, name };
    await imageSize(original);  // or another address would come between
    if (this.jobId !== id) return;
    await this.workOn(original, name, past, id);
    if (this.jobId !== id) return;
    this.choose(kind);
    setOptions(this.form, options);
    await this.attend(kind, (how) => resume(id, how), async () => estimated(kind, await imageSize(original), options));
  }

  /** Follows a job to its end and shows what came of it. */
  async attend(kind, work, estimate) {
    this.work?.abort();
    const own = this.work = new AbortController();
    const { signal } = own;
    const { blob, name } = this.current;
    const trouble = find(".trouble", this.form);
    const told = find(".mend-told", this.panel);
    this.backToImage();
    this.painting(false);
    told.textContent = "";
    this.working(true);  // before anything is waited for, or a second click begins a second job
    announce("Restoring.");
    try {
      const job = await this.follow(work, estimate, { signal, onProgress: (progress) => this.grow(progress) });
      const mended = await fetched(job.files.result, { signal });
      await this.finish(job, kind, name, blob, mended);
    } catch (error) {
      if (this.work !== own) return;
      this.backToImage();
      told.textContent = isAbort(error) ? "Cancelled." : "";
      if (isAbort(error)) announce("Cancelled.");
      await this.giveUp(trouble, error);
    } finally {
      if (this.work === own) this.working(false);
    }
  }

  /** @param {any} progress */
  grow({ preview, box, ...progress }) {
    if (preview && box) this.stage.showTile(preview, box);
    else if (preview) this.stage.showGrowing(preview, "The restoration as it grows");
    this.timing.progress(progress);
  }

  /** For what is chosen. */
  tellChoice() {
    this.tellTime({
      kind: this.kind, image: this.current?.blob, options: optionsOf(this.form, this.kind), needsToken: this.about.needs_token,
      isFree: !this.isWorking, inputs: this.kind === "inpaint" ? ["image", "mask"] : ["image"],
      late: "what is there by then is the result. Make the image smaller, or leave it to filters.",
    });
  }

  async finish(job, kind, name, before, after) {
    const stem = name.replace(/\.\w+$/, "");
    this.stage.showBoth(
      this.past.length
        ? { blob: before, alt: "The image before this repair", chip: "Before" }
        : { blob: before, alt: "The image as it came in", chip: "As it came in" },
      { blob: after, alt: "The restored image", chip: kind === "upscale" ? "Enlarged" : "Restored" },
      // Nothing is taken out of an image that is made larger.
      kind === "upscale" ? [] : [{ name: "taken", label: "Taken out ×\u00a010", hint: "What restoring took out, ten times as strong; grey is no change.", from: after, to: before }]);
    find(".mend-told", this.panel).textContent = "";
    this.mended = after;
    const { fits, iterations_run: iterations, seconds, notes = [] } = job.answer;
    const early = cutShort(job.answer);
    const title = early ? "Ended early" : "Done";
    const { width, height } = await imageSize(after);
    const facts = [`${width} × ${height} pixels`, fits ? `filters and ${iterations} iterations` : "filters alone", seconds && inSeconds(seconds)].filter(Boolean).join(", ");
    find("#mended-title").textContent = title;
    const told = [`${facts}.${early}`, ...notes.map((note) => `${note[0].toUpperCase()}${note.slice(1)}.`)].join(" ");
    find(".mended-told", this.panel).textContent = told;
    const download = find(".download", this.panel);
    download.href = address(after, download.href);
    download.download = `${stem}-restored.png`;
    show(find(".mended", this.panel), true);
    announce(`${title}: ${told}`);
    await entitle(job.id, `${KINDS[kind].title}: ${title.toLowerCase()}`);
    show(find(".mask-again", this.panel), kind === "inpaint" && !this.brush.isEmpty);
    bringIntoView(find(".mended", this.panel));
  }

  working(isWorking) {
    this.isWorking = isWorking;
    find("[type=submit]", this.form).disabled = isWorking;
    if (!isWorking) this.timing.end();
    this.tellChoice();
    for (const input of findAll("[name=kind]", this.form)) input.disabled = isWorking;
    for (const part of [".spoil", ".steps-taken", ".mend-options"]) find(part, this.panel).inert = isWorking;
    show(find(".cancel", this.form), isWorking);
    if (isWorking) find(".cancel", this.form).focus({ preventScroll: true });
    else if (document.activeElement === document.body) find("[type=submit]", this.form).focus({ preventScroll: true });
  }
}

function sigmaField() {
  return make("label", { class: "field" }, "Strength of the noise, in levels of 255",
    make("input", { type: "number", name: "sigma", min: "1", max: "100", step: "1", placeholder: "measured from the image", inputmode: "decimal" }));
}

function factorField() {
  return make("fieldset", { class: "segments" }, make("legend", { class: "hidden-text", text: "Factor" }),
    ...[2, 4].map((factor) => make("label", {}, make("input", { type: "radio", name: "factor", value: factor, checked: factor === 2 }), make("span", { text: `× ${factor}` }))));
}

function optionsOf(form, kind) {
  const { sigma, factor, fits } = form.elements;
  return {
    fits: fits.value,
    factor: kind === "upscale" ? factor.value : null,
    sigma: kind === "denoise" ? sigma.value : null,
  };
}

function setOptions(form, { sigma, factor, fits }) {
  const fields = form.elements;
  if (fields.sigma) fields.sigma.value = sigma ?? "";
  if (fields.factor && factor) fields.factor.value = factor;
  fields.fits.value = fits ?? "";
}
