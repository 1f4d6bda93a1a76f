/** The third tab: pictures that nobody attacked, but that are noisy, compressed, scratched or small. */

import { blob as fetched, isAbort, run } from "./api.js";
import { address, announce, bringIntoView, find, findAll, imageSize, make, show, tick } from "./dom.js";
import { Brush } from "./brush.js";
import { cutShort, inSeconds } from "./summary.js";
import { Picker, sampleFrom } from "./picker.js";
import { compressed, noisy, shrunk } from "./degrade.js";
import { Stage } from "./compare.js";
import { clear, tell, tellWait } from "./errors.js";

const KINDS = {
  denoise: { label: "It is noisy", hint: "Grain of a weak light or a high ISO.", options: sigmaField },
  dejpeg: { label: "It was compressed too hard", hint: "Blocks and rings of JPEG." },
  inpaint: { label: "Parts are missing", hint: "Scratches, dust, writing: paint over them." },
  upscale: { label: "It is too small", hint: "Twice or four times as wide.", options: factorField },
};

export const mends = (about) => Object.keys(KINDS).filter((kind) => about.kinds.includes(kind));

export class Mend {
  constructor(panel) {
    this.panel = panel;
    this.stage = new Stage(find(".stage", panel));
    this.brush = new Brush(find(".brush", panel), this.stage.compare, () => this.tellMask());
    this.form = find(".mend-form", panel);
    this.picker = new Picker(panel, { title: "Drop a picture here, or paste one", samplesTitle: "Or take one of these and spoil it" }, (blob, name) => this.take(blob, name));
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.mend(); });
    find(".cancel", this.form).addEventListener("click", () => this.work?.abort());
    find(".change", panel).addEventListener("click", () => this.open());
    this.form.addEventListener("change", () => {
      const { sigma, stop } = this.form.elements;
      if (sigma) sigma.disabled = stop.value !== "";
    });
    for (const button of findAll("[data-spoil]", panel)) button.addEventListener("click", () => this.spoil(button.dataset.spoil));
    find(".unspoil", panel).addEventListener("click", () => this.take(this.original.blob, this.original.name));
  }

  setAbout(about) {
    this.picker.setLimits(about.limits);
    this.picker.setSamples((about.samples ?? []).map(({ name, url }, number) => ({ name, label: `Sample photograph ${number + 1}`, get: sampleFrom(url) })));
    const kinds = mends(about);
    find(".choices", this.form).replaceChildren(...kinds.map((kind, number) => {
      const input = make("input", { type: "radio", name: "kind", value: kind, checked: number === 0 });
      input.addEventListener("change", () => this.choose(kind));
      return make("label", { class: "choice" }, input, make("span", {}, make("strong", { text: KINDS[kind].label }), make("small", { text: KINDS[kind].hint })));
    }));
    if (kinds.length) this.choose(kinds[0]);
  }

  choose(kind) {
    this.kind = kind;
    const options = KINDS[kind].options;
    find(".mend-options", this.form).replaceChildren(...(options ? [options()] : []));
    for (const input of findAll("[name=kind]", this.form)) input.checked = input.value === kind;
    this.backToPicture();
  }

  open() {
    this.work?.abort();
    show(find(".opening", this.panel), true);
    show(find(".bench", this.panel), false);
    find(".file-input", this.panel).focus();
  }

  async take(blob, name) {
    this.original = { blob, name };
    show(find(".unspoil", this.panel), false);
    await this.workOn(blob, name);
    scrollTo({ top: 0 });
    find("[name=kind]:checked", this.form)?.focus({ preventScroll: true });
  }

  async workOn(blob, name) {
    this.work?.abort();
    this.current = { blob, name };
    this.brush.reset(await imageSize(blob));
    show(find(".opening", this.panel), false);
    show(find(".bench", this.panel), true);
    find(".file-name", this.panel).textContent = name;
    this.backToPicture();
  }

  backToPicture() {
    if (!this.current) return;
    clear(find(".trouble", this.form));
    show(find(".mended", this.panel), false);
    this.stage.showOnly(this.current.blob, `The picture as it came in: ${this.current.name}`);
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
    announce("The picture was spoiled.");
  }

  async mend() {
    this.work?.abort();
    const work = this.work = new AbortController();
    const { signal } = work;
    const { blob, name } = this.current;
    const { kind } = this;
    const trouble = find(".trouble", this.form);
    const told = find(".mend-told", this.panel);
    const mask = kind === "inpaint" ? this.brush.mask() : undefined;
    this.backToPicture();
    this.painting(false);
    this.working(true);  // before anything is waited for, or a second click begins a second job
    told.ariaLive = "polite";
    told.textContent = "Waiting for a free worker.";
    bringIntoView(find(".bench-head", this.panel));
    try {
      const job = await run(kind, blob, {
        options: optionsOf(this.form, kind), mask: await mask, signal,
        onWait: (left) => tellWait(trouble, left),
        onState: ({ state }) => { if (state === "running") told.textContent = "Drawing."; },
        onProgress: ({ iteration, limit, preview }) => {
          tick(told, `Drawing: iteration ${iteration}${limit ? ` of at most ${limit}` : ""}.`);
          if (preview) this.stage.showGrowing(preview, "The restoration as it grows");
          this.stage.busy(true, limit ? iteration / limit : null);
        },
      });
      const mended = await fetched(job.files.result, { signal });
      await this.finish(job, kind, name, blob, mended);
    } catch (error) {
      if (this.work !== work) return;
      this.backToPicture();
      told.textContent = isAbort(error) ? "Cancelled." : "";
      if (isAbort(error)) announce("Cancelled.");
      tell(trouble, error);
    } finally {
      if (this.work === work) this.working(false);
    }
  }

  async finish(job, kind, name, before, after) {
    const stem = name.replace(/\.\w+$/, "");
    this.stage.showBoth(
      { blob: before, alt: "The picture as it came in", chip: "As it came in" },
      { blob: after, alt: "The restored picture", chip: kind === "upscale" ? "Enlarged" : "Restored" },
      // Nothing is taken out of a picture that is made larger.
      kind === "upscale" ? [] : [{ name: "taken", label: "Taken out ×\u00a010", hint: "What restoring took out, ten times as strong; grey is no change.", from: after, to: before }]);
    find(".mend-told", this.panel).textContent = "";
    const { iterations_run: iterations, seconds } = job.answer;
    const { width, height } = await imageSize(after);
    const facts = [`${width} × ${height} pixels`, iterations && `${iterations} iterations`, seconds && inSeconds(seconds)].filter(Boolean).join(", ");
    find(".mended-told", this.panel).textContent = `${facts}.${cutShort(job.answer)}`;
    const download = find(".download", this.panel);
    download.href = address(after, download.href);
    download.download = `${stem}-restored.png`;
    show(find(".mended", this.panel), true);
    announce(`Done: ${facts}.`);
    bringIntoView(find(".mended", this.panel));
  }

  working(isWorking) {
    find("[type=submit]", this.form).disabled = isWorking;
    this.stage.busy(isWorking);
    for (const input of findAll("[name=kind]", this.form)) input.disabled = isWorking;
    show(find(".cancel", this.form), isWorking);
    if (isWorking) find(".cancel", this.form).focus({ preventScroll: true });
    else if (document.activeElement === document.body) find("[type=submit]", this.form).focus({ preventScroll: true });
  }
}

function sigmaField() {
  return make("label", { class: "field" }, "Strength of the noise, in levels of 255",
    make("input", { type: "number", name: "sigma", min: "1", max: "100", step: "1", placeholder: "measured from the picture", inputmode: "decimal" }));
}

function factorField() {
  return make("fieldset", { class: "segments" }, make("legend", { class: "hidden-text", text: "Factor" }),
    ...[2, 4].map((factor) => make("label", {}, make("input", { type: "radio", name: "factor", value: factor, checked: factor === 2 }), make("span", { text: `× ${factor}` }))));
}

function optionsOf(form, kind) {
  const { sigma, factor, stop } = form.elements;
  return {
    stop: stop.value,
    factor: kind === "upscale" ? factor.value : null,
    sigma: kind === "denoise" && !stop.value ? sigma.value : null,  // the strength decides when to stop
  };
}
