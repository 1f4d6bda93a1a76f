/** The first tab: a picture, an attack on it if wanted, its restoration, and what the classifier makes of each. */

import { blob as fetched, isAbort, run } from "./api.js";
import { address, announce, bringIntoView, find, make, percent, saved, show } from "./dom.js";
import { drawBars } from "./bars.js";
import { outcomeOf, referencesOf, verdictOf } from "./summary.js";
import { Picker, sampleFrom } from "./picker.js";
import { Plot } from "./plot.js";
import { Stage } from "./compare.js";
import { clear, tell, tellWait } from "./errors.js";

const PRESETS = {
  fast: "One fit, about a second on a small picture.",
  thorough: "Four independent fits, averaged. Four times as long.",
  paper: "The published recipe: 1,750 iterations of a large network. Many minutes.",
};

export class Protect {
  constructor(panel) {
    this.panel = panel;
    this.stage = new Stage(find(".stage", panel));
    this.plot = new Plot(find(".plot", panel));
    this.attackForm = find(".attack-form", panel);
    this.restoreForm = find(".restore-form", panel);
    this.verdict = find(".verdict", panel);
    this.picker = new Picker(panel, { title: "Drop a picture here, or paste one", samplesTitle: "Or take one of these photographs" }, (blob, name) => this.take(blob, name));
    this.work = new AbortController();
    this.attackForm.addEventListener("submit", (event) => { event.preventDefault(); this.attack(); });
    this.restoreForm.addEventListener("submit", (event) => { event.preventDefault(); this.restore(); });
    find(".undo", panel).addEventListener("click", () => this.take(this.original.blob, this.original.name));
    find(".change", panel).addEventListener("click", () => this.open());
    find(".cancel", this.attackForm).addEventListener("click", () => this.assault?.abort());
    find(".cancel", this.restoreForm).addEventListener("click", () => this.fit?.abort());
    // A browser says what is missing only where it can be seen.
    this.restoreForm.addEventListener("invalid", ({ target }) => { target.closest("details").open = true; }, true);
    this.attackForm.elements.epsilon.addEventListener("input", () => this.tellEpsilon());
    this.attackForm.elements.attack.addEventListener("change", () => this.tellEpsilon());
    this.restoreForm.addEventListener("change", () => { this.tellPreset(); this.tellAnswer(); });
    this.tellPreset();
  }

  /** What this server can do. */
  setAbout(about) {
    this.about = about;
    this.picker.setLimits(about.limits);
    this.picker.setSamples((about.samples ?? []).map(({ name, url }, number) => ({ name, label: `Sample photograph ${number + 1}`, get: sampleFrom(url) })));
    const attacks = about.attacks ?? [];
    find("select", this.attackForm).replaceChildren(...attacks.map(({ name, label }) => make("option", { value: name, text: withoutSize(label), selected: name === "pgd" })));
    show(this.attackForm, about.kinds.includes("attack") && attacks.length > 0);
    show(this.verdict, about.kinds.includes("detect"));
    this.tellEpsilon();
    this.restoreForm.elements.answer.value = about.answer;
    this.tellAnswer();
  }

  tellAnswer() {
    show(find(".restored-only", this.panel), this.restoreForm.elements.answer.value === "restored");
  }

  tellEpsilon() {
    const { attack, epsilon } = this.attackForm.elements;
    const chosen = this.about?.attacks?.find(({ name }) => name === attack.value);
    show(find(".epsilon-field", this.panel), Boolean(chosen?.has_epsilon));
    find(".epsilon-shown", this.panel).textContent = `${epsilon.value}/255`;
    epsilon.setAttribute("aria-valuetext", `${epsilon.value} of 255`);
  }

  tellPreset() {
    find(".preset-hint", this.panel).textContent = PRESETS[this.restoreForm.elements.preset.value];
  }

  /** Back to where pictures are chosen. */
  open() {
    this.work.abort();
    show(find(".opening", this.panel), true);
    show(find(".bench", this.panel), false);
    show(find(".findings", this.panel), false);
    find(".file-input", this.panel).focus();
  }

  take(blob, name) {
    this.work.abort();
    this.work = new AbortController();
    this.original = { blob, name };
    this.current = this.original;
    this.attacked = null;
    this.answers = {};
    show(find(".opening", this.panel), false);
    show(find(".bench", this.panel), true);
    show(find(".undo", this.panel), false);
    find(".file-name", this.panel).textContent = name;
    find(".attack-told", this.panel).textContent = "";
    clear(find(".trouble", this.attackForm));
    this.stage.showOnly(blob, `The picture as it came in: ${name}`);
    this.forgetResult();
    this.drawAnswers();
    this.now("Asking the classifier …");
    this.look();
    scrollTo({ top: 0 });
    find(".restore-form .primary", this.panel).focus({ preventScroll: true });
  }

  forgetResult() {
    show(find(".outcome", this.panel), false);
    show(find(".course", this.panel), false);
    show(find(".references", this.panel), false);
    clear(find(".trouble", this.restoreForm));
  }

  /** The label of the moment under the picture. */
  now(what, answer = null) {
    find(".now-what", this.panel).textContent = what;
    find(".now-label", this.panel).textContent = answer?.label ?? "";
    find(".now-share", this.panel).textContent = answer ? percent(answer.probability) : "";
    find(".meter-fill", this.panel).style.setProperty("--share", answer?.probability ?? 0);
  }

  /** The first answer for the picture that is to be restored. */
  seen() {
    return (this.answers.attacked ?? this.answers.original)?.[0];
  }

  /** Asks the classifier and the detector about the picture as it is. */
  look() {
    const { signal } = this.work;
    const { blob } = this.current;
    this.classify(blob, signal);
    if (this.about?.kinds.includes("detect")) this.detect(blob, signal);
  }

  async classify(blob, signal) {
    const trouble = find(".trouble", this.restoreForm);
    try {
      const job = await run("classify", blob, { options: { top: 5 }, signal, onWait: (left) => tellWait(trouble, left) });
      if (this.answers.restored || blob !== this.current.blob) return;
      this.answers[this.attacked ? "attacked" : "original"] = job.answer.top;
      this.drawAnswers();
      this.now(this.attacked ? "Attacked, the classifier sees" : "The classifier sees", job.answer.top[0]);
    } catch (error) {
      if (signal.aborted) return;
      this.now("");
      tell(trouble, error);
    }
  }

  async detect(blob, signal) {
    const told = find(".verdict-told", this.verdict);
    const trouble = find(".trouble", this.verdict);
    clear(trouble);
    told.replaceChildren(make("p", { class: "hint", text: "Looking …" }));
    try {
      const job = await run("detect", blob, { signal, onWait: (left) => tellWait(trouble, left) });
      if (blob !== this.current.blob) return;
      const { title, told: sentence } = verdictOf(job.answer);
      const flagged = job.answer.is_suspicious;
      told.replaceChildren(
        make("p", { class: flagged ? "verdict-title is-suspicious" : "verdict-title", text: title }),
        make("p", { class: "hint", text: sentence }),
        evidence(job.answer.evidence));
    } catch (error) {
      if (signal.aborted) return;
      told.replaceChildren();
      tell(trouble, error);
    }
  }

  async attack() {
    const { attack, epsilon } = this.attackForm.elements;
    const trouble = find(".trouble", this.attackForm);
    const told = find(".attack-told", this.panel);
    clear(trouble);
    this.fit?.abort();
    const hasSize = this.about.attacks.find(({ name }) => name === attack.value)?.has_epsilon;
    const assault = this.assault = new AbortController();
    const signal = AbortSignal.any([assault.signal, this.work.signal]);
    this.working(this.attackForm, true);
    told.textContent = "Attacking …";
    try {
      const options = { attack: attack.value, ...(hasSize ? { epsilon_255: epsilon.value } : {}) };
      const job = await run("attack", this.original.blob, { options, signal, onWait: (left) => tellWait(trouble, left) });
      const blob = await fetched(job.files.result, { signal });
      const clean = job.files.clean ? await fetched(job.files.clean, { signal }) : null;
      this.attacked = { answer: job.answer, clean };
      this.current = { blob, name: `attacked-${this.original.name}` };
      this.answers = { original: job.answer.before, attacked: job.answer.after };
      this.forgetResult();
      this.showAttack();
      told.textContent = attackTold(job.answer);
      show(find(".undo", this.panel), true);
      if (this.about.kinds.includes("detect")) this.detect(blob, this.work.signal);
    } catch (error) {
      told.textContent = assault.signal.aborted ? "Cancelled." : "";
      tell(trouble, error);
    } finally {
      this.working(this.attackForm, false);
    }
  }

  showAttack() {
    const { blob } = this.current;
    const { clean, answer } = this.attacked;
    if (clean) {
      this.stage.showBoth(
        { blob: clean, alt: "The original, cut to what the classifier sees", chip: "Original" },
        { blob, alt: "The attacked picture", chip: "Attacked" },
        this.differences());
    } else this.stage.showOnly(blob, "The attacked picture");
    this.drawAnswers();
    this.now("Attacked, the classifier sees", answer.after[0]);
  }

  differences(restored, before = this.current.blob) {
    const found = [];
    if (this.attacked?.clean) {
      found.push({ name: "attack", label: "Perturbation ×\u00a010", hint: "What the attack added, ten times as strong; grey is no change.", from: this.attacked.clean, to: this.current.blob });
    }
    if (restored) {
      found.push({ name: "taken", label: "Taken out ×\u00a010", hint: "What restoring took out, ten times as strong; grey is no change.", from: restored, to: before });
    }
    return found;
  }

  async restore() {
    const trouble = find(".trouble", this.restoreForm);
    if (!this.restoreForm.reportValidity()) return;
    this.assault?.abort();  // what is to be restored must not change meanwhile
    this.fit?.abort();
    const fit = this.fit = new AbortController();
    const { work } = this;
    const signal = AbortSignal.any([fit.signal, work.signal]);
    const source = this.current;
    const options = optionsOf(this.restoreForm);
    this.forgetResult();
    delete this.answers.restored;
    this.drawAnswers();
    this.working(this.restoreForm, true);
    this.stage.showOnly(source.blob, "The picture that is being restored");
    this.stage.busy(true);
    this.plot.clear();
    show(find(".course", this.panel), true);
    announce("Restoring.");
    bringIntoView(find(".bench-head", this.panel));
    try {
      const job = await run("protect", source.blob, {
        options, signal,
        onWait: (left) => tellWait(trouble, left),
        onState: ({ state, position }) => {
          if (state === "queued") this.now(position > 1 ? `Waiting; place ${position} in the queue` : "Waiting for a free worker", this.seen());
        },
        onProgress: (progress) => this.grow(progress, options.answer === "contrast"),
      });
      const blob = await fetched(job.files.result, { signal });
      // By contrast it is about what the classifier sees of the picture.
      const seen = job.files.seen ? await fetched(job.files.seen, { signal }) : source.blob;
      this.finish(job, seen, blob);
    } catch (error) {
      if (work.signal.aborted || this.fit !== fit) return;  // another picture, or another fit, is shown by now
      show(find(".course", this.panel), false);
      if (this.attacked) this.showAttack();
      else this.stage.showOnly(source.blob, "The picture as it came in");
      this.now(isAbort(error) ? "Cancelled. The classifier sees" : "The classifier sees", this.seen());
      if (isAbort(error)) announce("Cancelled.");
      tell(trouble, error);
    } finally {
      if (this.fit === fit) {
        this.stage.busy(false);
        this.working(this.restoreForm, false);
      }
    }
  }

  /** One step of the fit. */
  grow({ iteration, limit, psnr, label, probability, preview }, isAlone) {
    if (preview) this.stage.showGrowing(preview, "The restoration as it grows", { isAlone });
    this.stage.busy(true, limit ? iteration / limit : null);
    this.plot.add({ iteration, psnr, label, probability });
    const what = `Iteration ${iteration}${limit ? ` of at most ${limit}` : ""}`;
    if (label) this.now(what, { label, probability });
    else if (this.plot.points.length) find(".now-what", this.panel).textContent = what;
    else this.now(what);  // the answer to what came in is not that of this iteration
  }

  finish(job, before, blob) {
    const { answer } = job;
    const { explanation } = answer;
    this.answers.restored = answer.after;
    if (this.attacked) this.answers.attacked = answer.before;
    else this.answers.original = answer.before;
    this.stage.showBoth(
      { blob: before, alt: "The picture as it came in", chip: this.attacked ? "Attacked" : "As it came in" },
      { blob, alt: "The restored picture", chip: answer.restored ? "Restored" : "Left as it was" },
      this.differences(answer.restored ? blob : null, before));
    if (explanation) this.now("Protected, the classifier says", answer.after[0]);
    else this.now(answer.restored ? "Restored, the classifier sees" : "The classifier sees", answer.after[0]);
    this.afterTitle = explanation ? "Protected" : "Restored";
    show(find(".references", this.panel), Boolean(explanation));
    if (explanation) find(".references-list", this.panel).replaceChildren(referencesOf(explanation));
    const hasCourse = answer.trajectory?.length > 0;
    show(find(".course", this.panel), hasCourse);
    if (hasCourse) this.plot.finish(answer.trajectory, answer.iteration_chosen);
    const drawn = explanation?.references.find(({ name }) => name === "restored") ?? answer.after[0];
    const isOther = hasCourse && this.plot.taken()?.label !== drawn.label;
    const courseTold = find(".course-told", this.panel);
    show(courseTold, isOther);
    courseTold.textContent = isOther ? `After the fit, fine detail is brought back and fits are averaged, where there are several. In the picture that came of it the classifier sees ${drawn.label}.` : "";
    const { title, told } = outcomeOf(answer, this.attacked?.answer);
    find(".outcome-title", this.panel).textContent = title;
    find(".outcome-told", this.panel).textContent = told;
    const download = find(".download", this.panel);
    download.href = address(blob, download.href);
    download.download = `${this.original.name.replace(/\.\w+$/, "")}-restored.png`;
    const record = find(".record", this.panel);
    record.href = address(new Blob([JSON.stringify(job, null, 2)], { type: "application/json" }), record.href);
    record.download = `${this.original.name.replace(/\.\w+$/, "")}-restored.json`;
    show(find(".outcome", this.panel), true);
    this.drawAnswers();
    announce(`${title} ${told}`);
    bringIntoView(find(".outcome", this.panel));
  }

  drawAnswers() {
    const { original, attacked, restored } = this.answers;
    const columns = [
      original && { title: this.attacked ? "Original" : "As it came in", top: original },
      attacked && { title: "Attacked", top: attacked },
      restored && { title: this.afterTitle, top: restored, isAfter: true },
    ].filter(Boolean);
    show(find(".findings", this.panel), columns.length > 0);
    drawBars(find(".bars", this.panel), columns);
  }

  working(form, isWorking) {
    find("[type=submit]", form).disabled = isWorking;
    const cancel = find(".cancel", form);
    show(cancel, isWorking);
    if (isWorking) cancel.focus({ preventScroll: true });
    else if (document.activeElement === document.body) find("[type=submit]", form).focus({ preventScroll: true });
  }
}

function optionsOf(form) {
  const { answer, preset, stop, seed, only_if_suspicious: suspicious, views } = form.elements;
  const isRestored = answer.value === "restored";
  return {
    answer: answer.value, preset: preset.value, stop: stop.value, seed: seed.value,
    only_if_suspicious: (isRestored && suspicious.checked) || null, views: (isRestored && views.checked) || null,
  };
}

/** Its size is set beside it. */
const withoutSize = (label) => label.replace(/, [\d.]+\/255/, "");

function attackTold({ before, after, fooled, linf, l2 }) {
  const size = `No pixel changed by more than ${saved(255 * linf, 2)}/255; L2\u00a0norm\u00a0${saved(l2, 2)}.`;
  if (fooled) return `Fooled: ${before[0].label} became ${after[0].label}. ${size}`;
  return `Not fooled: still ${after[0].label}. ${size}`;
}

function evidence(found = {}) {
  const rows = Object.entries(found).map(([name, value]) =>
    make("tr", {}, make("th", { scope: "row", text: name }), make("td", { text: `${value >= 0 ? "+" : "−"}${Math.abs(value).toFixed(1)} σ` })));
  return rows.length
    ? make("details", {}, make("summary", { text: "Evidence" }), make("p", { class: "hint", text: "In standard deviations of clean pictures." }), make("table", {}, make("tbody", {}, ...rows)))
    : "";
}
