/** The first tab: an image, an attack on it if wanted, its protection, and what the classifier makes of each. */

import { blob as fetched, either, isAbort, LEFT, resume, run, ServiceError, sleep } from "./api.js";
import { drawRows } from "./answers.js";
import { AttackForm, attackTold } from "./attack-form.js";
import { drawBars } from "./bars.js";
import { Stage } from "./compare.js";
import { address, announce, bringIntoView, find, imageSize, make, percent, show } from "./dom.js";
import { clear, tell, tellWait } from "./errors.js";
import { stepsOf } from "./explain.js";
import { Frames } from "./frames.js";
import { JobTab } from "./job-tab.js";
import { Picker, sampleFrom } from "./picker.js";
import { Plot } from "./plot.js";
import { ProtectForm } from "./protect-form.js";
import { drawRecent } from "./recent.js";
import { entitle, recall } from "./state.js";
import { outcomeOf, verdictOf } from "./summary.js";
import { estimated, roughly } from "./timing.js";
import { showUse } from "./use-api.js";

const PAUSE = 150;
/** Milliseconds without another change before the server is asked for an estimate. */
const FITTING = 0.8;
/** Share of the time of an answer by contrast that its fit takes; the classifier's answers take the rest. */

export class Protect extends JobTab {
  constructor(panel) {
    super(panel);
    this.stage = new Stage(find(".stage", panel));
    this.plot = new Plot(find(".plot", panel), (point, number) => this.lookAt(point, number));
    this.attackForm = new AttackForm(find(".attack-form", panel), () => this.tellNext());
    this.protectForm = new ProtectForm(find(".protect-form", panel), () => this.tellNext());
    this.picker = new Picker(panel, { title: "Drop an image here, or paste one", samplesTitle: "Or take one of these photographs" }, (blob, name) => this.take(blob, name));
    this.trouble = find(".next-trouble", panel);
    this.work = new AbortController();
    /** Told where the published recipe would not end in time. */
    this.onTooLong = () => {};
    find(".next", panel).addEventListener("click", () => (this.isToAttack ? this.attack() : this.protect()));
    find(".other", panel).addEventListener("click", () => this.protect());
    find(".cancel", panel).addEventListener("click", () => this.doing?.abort());
    find(".undo", panel).addEventListener("click", () => this.take(this.original.blob, this.original.name));
    find(".play", panel).addEventListener("click", () => this.play().catch((error) => tell(find(".picker .trouble", panel), error)));
    find(".moment-back", panel).addEventListener("click", () => { this.plot.leave(); this.showResult(); this.drawAnswers(); });
    find(".change", panel).addEventListener("click", () => { this.setAddress(); this.open(); });
  }

  /** What this server can do. */
  setAbout(about) {
    this.about = about;
    this.picker.setLimits(about.limits);
    this.setSamples();
    this.attackForm.offer(about.kinds.includes("attack") ? about.attacks : []);
    this.protectForm.set({ answer: about.answer });
    show(find(".attack-settings", this.panel), this.canAttack);
    show(find(".play", this.panel), this.canAttack && about.samples.length > 0);
    drawRecent(this.panel);
  }

  /** What was recorded of the samples, for the classifier that it was recorded with; told before what the server can do. */
  setStory(story) {
    this.story = story;
  }

  setSamples() {
    const known = this.about.classifier === "lite0" && this.canAttack ? this.story?.samples ?? {} : {};
    const rows = Object.values(known);
    const back = rows.filter((row) => row.comes_back).length;
    find(".play-told", this.panel).textContent = rows.length ? `Of the ${rows.length} photographs below, ${back} come back under the attack that is set here. An attacker who knows of the protection gets through.` : "";
    this.picker.setSamples(this.about.samples.map(({ name, url }, number) => ({
      name, get: sampleFrom(url), label: known[name]?.label ?? `Sample photograph ${number + 1}`,
      caption: known[name] && !known[name].comes_back ? `${known[name].label}: stays fooled` : known[name]?.label,
    })));
  }

  get canAttack() {
    return this.about.kinds.includes("attack") && this.about.attacks.length > 0;
  }

  get isToAttack() {
    return this.canAttack && !this.attacked && !this.isDone;
  }

  /** Back to where images are chosen; what goes on, goes on. */
  open() {
    this.leave();
    show(find(".opening", this.panel), true);
    show(find(".bench", this.panel), false);
    show(find(".findings", this.panel), false);
    drawRecent(this.panel);
  }

  leave() {
    this.work.abort(LEFT);
    this.jobId = null;
  }

  /** The whole story with a sample: attacks it and protects it. */
  async play() {
    const samples = this.about.samples;
    const { name, url } = samples.find((each) => each.name === this.story?.sample) ?? samples[0];
    this.take(await fetched(url), name);
    const { work } = this;
    await this.looked;
    if (this.work === work) await this.attack();
    if (this.work === work && this.attacked) await this.protect();
  }

  take(blob, name) {
    this.work.abort();
    this.setAddress();
    this.begin(blob, name);
    this.looked = this.look();
    find(".next", this.panel).focus({ preventScroll: true });
  }

  /** The bench with an image on it, of which nothing is known. */
  begin(blob, name) {
    this.work = new AbortController();
    this.original = this.current = { blob, name };
    this.attacked = null;
    this.answers = {};
    this.jobId = null;
    show(find(".opening", this.panel), false);
    show(find(".bench", this.panel), true);
    find(".file-name", this.panel).textContent = name;
    find(".attack-told", this.panel).textContent = "";
    find(".verdict-told", this.panel).replaceChildren();
    this.stage.zoom.fit();
    if (blob) this.stage.showOnly(blob, `The image as it came: ${name}`);
    else this.stage.clear();
    this.forgetResult();
    this.working(false);
    if (!this.panel.hidden) scrollTo({ top: 0 });
  }

  forgetResult() {
    this.isDone = false;
    this.frames?.close();
    this.frames = null;
    delete this.answers.restored;
    for (const part of [".outcome", ".course", ".references"]) show(find(part, this.panel), false);
    clear(this.trouble);
    this.now("");
    this.drawAnswers();
  }

  /** The answer of the moment. */
  now(what, answer = null) {
    show(find(".now", this.panel), Boolean(what));
    find(".now-what", this.panel).textContent = what;
    find(".now-label", this.panel).textContent = answer?.label ?? "";
    find(".now-share", this.panel).textContent = answer ? percent(answer.probability) : "";
  }

  /** Asks the classifier and the detector about the image as it came, and shows what of it the classifier sees. */
  async look() {
    const { signal } = this.work;
    const { blob, name } = this.original;
    this.tellNext();
    try {
      const job = await run("classify", blob, { options: { top: 5, seen: true }, signal, onWait: (left) => tellWait(this.trouble, left) });
      const seen = await fetched(job.files.seen, { signal });
      if (this.attacked || this.isDone || signal.aborted) return;
      this.answers.original = job.answer.top;
      this.original.seen = seen;
      if (this.protectForm.isContrast && !this.doing) this.stage.showOnly(seen, `What the classifier sees of ${name}`);
      this.drawAnswers();
      this.detect(blob, "this image");
    } catch (error) {
      if (!signal.aborted) tell(this.trouble, error);
    }
  }

  /** The detector's verdict, in words; `which` says of what. */
  async detect(blob, which) {
    if (!this.about.kinds.includes("detect")) return;
    const { signal } = this.work;
    const told = find(".verdict-told", this.panel), trouble = find(".verdict .trouble", this.panel);
    clear(trouble);
    told.replaceChildren(make("p", { class: "verdict-title is-open", text: "The detector is looking …" }));
    try {
      const job = await run("detect", blob, { signal, onWait: (left) => tellWait(trouble, left) });
      if (blob !== this.current.blob) return;
      told.replaceChildren(...verdictOf(job.answer, which));
    } catch (error) {
      if (signal.aborted) return;
      if (blob !== this.current.blob) return;
      told.replaceChildren();
      tell(trouble, error);
    }
  }

  async attack() {
    const { original } = this;
    const { options } = this.attackForm;
    await this.attendAttack((how) => run("attack", original.blob, {
      ...how, options,
      onWait: (left) => tellWait(this.trouble, left),
      onAccepted: ({ id }) => this.keep({ id, of: "attack", name: original.name, original: original.blob, options }),
    }), async () => estimated("attack", await imageSize(original.blob), options));
  }

  /** Follows an attack to its end and shows it. */
  async attendAttack(work, estimate) {
    const whole = this.work;
    const doing = this.doing = new AbortController();
    const signal = either([doing.signal, whole.signal]);
    const told = find(".attack-told", this.panel);
    clear(this.trouble);
    told.textContent = "";
    this.working(true, "Cancel the attack");
    try {
      const job = await this.follow(work, estimate, { signal, phase: "attacking" });
      const blob = await fetched(job.files.result, { signal });
      const clean = await fetched(job.files.clean, { signal });
      this.attacked = { answer: job.answer, clean };
      this.current = { blob, name: `attacked-${this.original.name}` };
      this.answers = { original: job.answer.before, attacked: job.answer.after };
      this.forgetResult();
      this.showAttack();
      told.textContent = attackTold(job.answer);
      announce(told.textContent);
      await entitle(job.id, job.answer.fooled ? "Attacked: fooled." : "Attacked: not fooled.");
      this.detect(blob, "the attacked image");
    } catch (error) {
      if (whole.signal.aborted) return;
      await this.giveUp(this.trouble, error);
      told.textContent = isAbort(error) ? "Cancelled." : "";
    } finally {
      if (this.doing === doing) this.working(false);
    }
  }

  showAttack() {
    this.stage.showBoth(
      { blob: this.attacked.clean, alt: "The original, as the classifier sees it", chip: "Original" },
      { blob: this.current.blob, alt: "The attacked image", chip: "Attacked" },
      this.differences());
    this.drawAnswers();
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

  async protect() {
    if (!this.protectForm.form.reportValidity()) return;
    if (this.isTooLong) {
      this.onTooLong();
      return;
    }
    const { current, attacked, original } = this;
    const options = { ...this.protectForm.options, frames: true };
    await this.attend((how) => run("protect", current.blob, {
      ...how, options,
      onWait: (left) => tellWait(this.trouble, left),
      onAccepted: ({ id }) => this.keep({ id, of: "protect", name: original.name, original: original.blob, current: current.blob, attacked, options, answers: this.answers }),
    }), async () => estimated("protect", await imageSize(current.blob), options));
  }

  /** A job by its address, whether it goes on or has ended. */
  async show(id) {
    if (id === this.jobId) return;
    this.leave();
    this.jobId = id;
    const record = await recall(id);
    if (this.jobId !== id) return;
    this.begin(record?.original ?? null, record?.name ?? "An image that this browser has not kept");
    this.jobId = id;
    const { work } = this;
    if (!record) {
      await this.attend((how) => resume(id, how), async () => null);
      return;
    }
    const { options } = record;
    const size = await imageSize(record.current ?? record.original);
    if (this.work !== work) return;
    const estimate = () => estimated(record.of, size, options);
    if (record.of === "attack") {
      this.attackForm.set(options);
      await this.attendAttack((how) => resume(id, how), estimate);
      return;
    }
    this.protectForm.set(options);
    this.attacked = record.attacked;
    this.current = { blob: record.current, name: record.name };
    this.answers = record.answers;
    if (this.attacked) this.showAttack();
    await this.attend((how) => resume(id, how), estimate);
    if (this.work === work) this.detect(record.current, this.attacked ? "the attacked image" : "this image");
  }

  /** Follows a job of protection to its end and shows it. */
  async attend(work, estimate) {
    this.doing?.abort(LEFT);
    const doing = this.doing = new AbortController();
    const whole = this.work;
    const signal = either([doing.signal, whole.signal]);
    this.forgetResult();
    this.working(true, "Cancel");
    if (this.original.blob) this.stage.showOnly(this.attacked ? this.current.blob : this.original.seen ?? this.current.blob, "The image that is being restored");
    this.plot.clear((this.answers.attacked ?? this.answers.original)?.[0].label);
    announce("Protecting.");
    try {
      const fitting = this.protectForm.isContrast ? FITTING : 1;
      const job = await this.follow(work, estimate, { signal, fitting, onProgress: (progress) => this.grow(progress) });
      if (job.kind !== "protect") throw new ServiceError("gone", "This browser has not kept the image of this job.");
      const blob = await fetched(job.files.result, { signal });
      // By contrast it is about what the classifier sees of the image.
      const seen = job.files.seen ? await fetched(job.files.seen, { signal }) : this.current.blob ?? blob;
      this.frames = job.files.frames ? new Frames(await fetched(job.files.frames, { signal }), job.answer.trajectory.length) : null;
      await this.finish(job, seen, blob);
    } catch (error) {
      if (whole.signal.aborted || this.doing !== doing) return;  // something else is shown by now
      show(find(".course", this.panel), false);
      if (this.attacked) this.showAttack();
      else if (this.original.blob) this.stage.showOnly(this.original.seen ?? this.original.blob, "The image as it came");
      this.now("");
      if (isAbort(error)) announce("Cancelled.");
      await this.giveUp(this.trouble, error);
    } finally {
      if (this.doing === doing) this.working(false);
    }
  }

  /** One step of the fit. */
  grow({ iteration, limit, phase, psnr, top, preview, box }) {
    if (preview && box) this.stage.showTile(preview, box);
    else if (preview) this.stage.showGrowing(preview, "The restoration as it grows", { isAlone: this.protectForm.isContrast });
    this.timing.progress({ iteration, limit, phase });
    if (!top?.length) return;
    this.plot.add({ iteration, psnr, top });
    show(find(".course", this.panel), true);
    this.now(`Iteration ${iteration}${limit ? ` of at most ${limit}` : ""}. In what is drawn so far the classifier sees`, top[0]);
  }

  async finish(job, before, blob) {
    const { answer } = job;
    this.isDone = true;
    this.now("");
    this.answers.restored = answer.after;
    this.answers[this.attacked ? "attacked" : "original"] = answer.before;
    this.result = {
      before: { blob: before, alt: "The image as it came", chip: this.attacked ? "Attacked" : "As it came" },
      after: { blob, alt: "The restored image", chip: answer.restored ? "Restored" : "Left as it was" },
      differences: this.differences(answer.restored ? blob : null, before),
    };
    this.showResult();
    this.afterTitle = answer.explanation ? "Protected" : "Restored";
    show(find(".references", this.panel), Boolean(answer.explanation));
    if (answer.explanation) find(".references-list", this.panel).replaceChildren(...stepsOf(answer));
    const hasCourse = answer.trajectory?.length > 1 && answer.followed.length > 0;
    show(find(".course", this.panel), hasCourse);
    if (hasCourse) this.plot.finish(answer.trajectory, answer.followed, answer.iteration_chosen);
    const courseTold = find(".course-told", this.panel);
    show(courseTold, hasCourse);
    courseTold.textContent = this.frames ? "Move along it to see what was drawn at that moment, and what the classifier saw in it." : "";
    const { title, told } = outcomeOf(answer, this.attacked?.answer);
    find(".outcome-title", this.panel).textContent = title;
    find(".outcome-told", this.panel).textContent = told;
    const stem = this.original.name.replace(/\.\w+$/, "");
    offer(find(".download", this.panel), blob, `${stem}-restored.png`);
    offer(find(".record", this.panel), new Blob([JSON.stringify(job, null, 2)], { type: "application/json" }), `${stem}-restored.json`);
    show(find(".outcome", this.panel), true);
    this.drawAnswers();
    announce(`${title} ${told}`);
    bringIntoView(find(".answers-now", this.panel));
    await entitle(job.id, title);
  }

  showResult() {
    this.stage.showBoth(this.result.before, this.result.after, this.result.differences);
  }

  /** A moment of a fit that has ended. */
  async lookAt(point, number) {
    this.drawAnswers(point);
    const image = await this.frames?.at(number);
    if (image && this.plot.at === number) this.stage.showGrowing(image, `What was drawn at iteration ${point.iteration}`, { isAlone: true });
  }

  drawAnswers(moment = null) {
    const { original, attacked, restored } = this.answers;
    const truth = this.attacked?.answer.fooled ? original[0].label : null;
    const mood = (label) => (truth === null ? "" : label === truth ? "is-right" : "is-wrong");
    const came = this.attacked ? "Original" : "As it came";
    drawRows(find(".answers-now", this.panel), [
      original && { title: came, answer: original[0], mood: "" },
      attacked && { title: "Attacked", answer: attacked[0], mood: mood(attacked[0].label) },
      restored && { title: this.afterTitle, answer: restored[0], mood: mood(restored[0].label) },
    ].filter(Boolean));
    drawBars(find(".bars", this.panel), [
      original && { title: came, top: original },
      attacked && { title: "Attacked", top: attacked },
      restored && { title: this.afterTitle, top: restored, isAfter: true },
      moment?.top && { title: `Iteration ${moment.iteration}`, top: moment.top },
    ].filter(Boolean));
    show(find(".findings", this.panel), Boolean(original || attacked || restored));
    show(find(".moment-back", this.panel), Boolean(moment));
  }

  working(isWorking, words = "Cancel") {
    if (!isWorking) {
      this.timing.end();
      this.doing = null;
    }
    const cancel = find(".cancel", this.panel);
    show(cancel, isWorking);
    cancel.textContent = words;
    for (const form of [this.attackForm.form, this.protectForm.form]) form.inert = isWorking;
    if (isWorking) cancel.focus({ preventScroll: true });
    this.tellNext();
    if (!isWorking && document.activeElement === document.body) find(this.isDone ? ".download" : ".next", this.panel).focus({ preventScroll: true });
  }

  /** What can be done next, and how long it is likely to take. */
  async tellNext() {
    if (!this.original) return;
    const isFree = !this.doing;
    const next = find(".next", this.panel), other = find(".other", this.panel);
    show(next, isFree && !this.isDone);
    next.disabled = !this.original.blob;
    next.textContent = this.isToAttack ? "Attack it" : "Protect it";
    show(other, isFree && Boolean(this.original.blob) && (this.isToAttack || this.isDone));
    other.textContent = this.isDone ? "Protect it again" : "Protect it as it is";
    const undo = find(".undo", this.panel);
    show(undo, isFree && Boolean(this.original.blob) && Boolean(this.attacked || this.isDone));
    undo.textContent = this.attacked ? "Undo the attack" : "Begin anew with this image";
    show(find(".download", this.panel), isFree && this.isDone);
    show(find(".record", this.panel), isFree && this.isDone);
    this.isTooLong = false;
    showUse(find(".use-api-code", this.panel), "protect", this.protectForm.options, { needsToken: this.about.needs_token });
    const told = find(".next-told", this.panel);
    const asked = this.asked = {};
    if (!isFree || !this.original.blob) {
      told.textContent = "";
      return;
    }
    const size = await imageSize(this.current.blob);
    await sleep(PAUSE);  // sliders tell of many values on their way
    if (this.asked !== asked) return;
    const protecting = estimated("protect", size, this.protectForm.options);
    const [own, protection] = await Promise.all([this.isToAttack ? estimated("attack", size, this.attackForm.options) : protecting, protecting]);
    if (this.asked !== asked) return;
    this.isTooLong = this.protectForm.tellTime(protection);
    if (!this.isToAttack && this.isTooLong) next.textContent = "Show the recorded fit";
    told.textContent = own && !this.isDone ? `${this.isToAttack ? "The attack takes" : "It takes"} ${roughly(own.seconds)}.` : "";
  }
}

function offer(link, blob, name) {
  link.href = address(blob, link.href);
  link.download = name;
}
