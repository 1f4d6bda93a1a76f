/** Where an image comes from: dropped, pasted, chosen as a file, or one of the samples. */

import { blob as fetched, ServiceError } from "./api.js";
import { claimedSize, copyOf, find, findAll, imageSize, make, show } from "./dom.js";
import { clear, tell } from "./errors.js";

const SHOWN_AT_FIRST = 12;
const pickers = [];

export class Picker {
  /**
   * @param {Element} panel the tab that this is part of
   * @param {{title: string, hint?: string, samplesTitle?: string}} words
   * @param {(blob: Blob, name: string) => void} take
   */
  constructor(panel, words, take) {
    this.panel = panel;
    this.take = take;
    this.root = find(".picker", panel);
    this.root.append(copyOf("#picker-template"));
    this.trouble = find(".trouble", this.root);
    this.limits = null;
    find(".drop-title", this.root).textContent = words.title;
    find(".samples-title", this.root).textContent = words.samplesTitle ?? "";
    find(".drop-hint", this.root).textContent = words.hint ?? "";
    const input = find(".file-input", this.root);
    input.addEventListener("change", () => {
      if (input.files.length) this.offer(input.files[0]);
      input.value = "";
    });
    pickers.push(this);
  }

  /** Takes a file if it is an image of a size that the server takes. */
  async offer(file, name = file.name || "pasted image") {
    // Where an image is being worked on already, it stays.
    const isWorking = find(".opening", this.panel).hidden;
    const trouble = isWorking ? find(".bench .next-trouble, .bench form .trouble", this.panel) : this.trouble;
    clear(trouble);
    try {
      await this.check(file, name);
    } catch (error) {
      tell(trouble, error);
      trouble.scrollIntoView({ block: "nearest" });
      return;
    }
    this.take(file, name);
  }

  async check(file, name) {
    const { bytes = Infinity, pixels = Infinity } = this.limits ?? {};
    if (file.size > bytes) {
      throw new ServiceError("too_large", `“${name}” has ${megabytes(file.size)}; this server takes up to ${megabytes(bytes)}. Scale it down or crop it.`);
    }
    if (file.size === 0) throw new ServiceError("not_an_image", `“${name}” is empty.`);
    // The size first: to decode an enormous image takes all of a phone's memory. The most enormous are not read at all.
    const most = Number.isFinite(pixels) ? ` of up to ${millions(pixels)} pixels` : "";
    const size = await claimedSize(file);
    if (size && size.width * size.height > pixels) {
      throw new ServiceError("too_large", `“${name}” has ${size.width} × ${size.height} pixels; this server takes up to ${millions(pixels)}. Scale it down or crop it.`);
    }
    if (!size || !(await imageSize(file).catch(() => null))) {
      throw new ServiceError("not_an_image", `“${name}” is not an image that can be read. JPEG, PNG and WebP files${most} can.`);
    }
  }

  setLimits(limits) {
    this.limits = limits;
    const hint = find(".drop-hint", this.root);
    if (limits?.bytes && !hint.textContent) hint.textContent = `JPEG, PNG or WebP, up to ${megabytes(limits.bytes)}.`;
  }

  /** Samples: `{name, label, caption, get}`, where `get` gives the image's blob. */
  setSamples(samples) {
    const list = find(".samples-list", this.root);
    show(find(".samples", this.root), samples.length > 0);
    list.replaceChildren();
    samples.forEach((sample, number) => {
      const image = make("img", { alt: "", width: 96, height: 96 });
      const caption = sample.caption ? [make("span", { class: "sample-caption", text: sample.caption })] : [];
      const button = make("button", { type: "button", class: "sample", "aria-label": [...new Set([sample.label, sample.caption].filter(Boolean))].join(", ") }, image, ...caption);
      const item = make("li", { hidden: number >= SHOWN_AT_FIRST }, button);
      let content = null;
      const load = () => (content ??= sample.get());
      const look = async () => { image.src = URL.createObjectURL(await load()); };
      button.addEventListener("click", async () => {
        try {
          this.offer(await load(), sample.name);
        } catch (error) {
          content = null;
          tell(this.trouble, error);
        }
      });
      if (!item.hidden) look().catch(() => { content = null; item.remove(); });
      item.look = look;
      list.append(item);
    });
    if (samples.length > SHOWN_AT_FIRST) {
      const more = make("button", { type: "button", class: "link", text: `Show all ${samples.length}` });
      const item = make("li", { class: "samples-more" }, more);
      more.addEventListener("click", () => {
        const hidden = findAll("li[hidden]", list);
        for (const each of hidden) {
          each.hidden = false;
          each.look().catch(() => each.remove());
        }
        item.remove();
        find("button", hidden[0])?.focus();
      });
      list.append(item);
    }
  }
}

/** Samples are fetched once, however often they are shown. */
const samples = new Map();

export const sampleFrom = (path) => () => {
  if (!samples.has(path)) samples.set(path, fetched(path).catch((error) => { samples.delete(path); throw error; }));
  return samples.get(path);
};

/** Drops and pastes go to the tab that is open. */
export function watchTheWindow() {
  const open = () => pickers.find((picker) => !picker.panel.hidden);
  let depth = 0;
  const mark = (isOver) => document.documentElement.classList.toggle("is-dragging", isOver);
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragenter", (event) => { if (hasFiles(event)) { depth++; mark(true); } });
  addEventListener("dragleave", (event) => { if (hasFiles(event) && --depth <= 0) { depth = 0; mark(false); } });
  addEventListener("dragover", (event) => { if (hasFiles(event)) event.preventDefault(); });
  addEventListener("drop", (event) => {
    depth = 0;
    mark(false);
    if (!hasFiles(event)) return;
    event.preventDefault();
    if (event.dataTransfer.files.length) open()?.offer(event.dataTransfer.files[0]);
  });
  addEventListener("paste", (/** @type {ClipboardEvent} */ event) => {
    const file = [...(event.clipboardData?.files ?? [])][0];
    if (file) open()?.offer(file);
  });
}

const millions = (pixels) => `${(pixels / 1e6).toFixed(0)} million`;

const megabytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
