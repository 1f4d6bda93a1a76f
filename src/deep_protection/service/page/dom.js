/** The few things that every part needs to touch the document. */

/** @type {(selector: string, root?: ParentNode) => any} the first element of that kind */
export const find = (selector, root = document) => root.querySelector(selector);
/** @type {(selector: string, root?: ParentNode) => any[]} */
export const findAll = (selector, root = document) => [...root.querySelectorAll(selector)];

/**
 * An element with attributes and children; `text`, `class` and listeners (`onclick`) by their names.
 * @param {string} tag @param {Record<string, any>} [attributes] @param {...(Node | string)} children
 * @returns {any}
 */
export function make(tag, attributes = {}, ...children) {
  const space = SVG_TAGS.has(tag) ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml";
  const made = document.createElementNS(space, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") made.textContent = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}
const SVG_TAGS = new Set(["svg", "g", "path", "line", "polyline", "polygon", "rect", "circle", "text"]);

export function copyOf(template) {
  return find(template).content.cloneNode(true);
}

export function show(element, shown = true) {
  element.hidden = !shown;
}

/** Reads a sentence to those who do not see the page. */
export function announce(sentence) {
  find("#announcer").textContent = sentence;
}

/** `37 %`, and never a rounded 0 or 100 that is neither. */
export function percent(share) {
  if (share < 0.005) return "<\u00a01\u00a0%";
  if (share < 1 && share > 0.995) return ">\u00a099\u00a0%";
  return `${Math.round(100 * share)}\u00a0%`;
}

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** On a narrow screen; on a wide one all that matters is in view, and nothing scrolls by itself. */
export function bringIntoView(element) {
  if (!matchMedia("(max-width: 900px)").matches) return;
  element.scrollIntoView({ block: "nearest", behavior: calm() ? "auto" : "smooth" });
}

export const saved = (value, digits = 3) => Number(value.toPrecision(digits)).toString();

/** An address for a blob, taken back with the one that it replaces. */
export function address(blob, replaced) {
  if (replaced) URL.revokeObjectURL(replaced);
  return URL.createObjectURL(blob);
}

/** What an image's header says, without decoding it; null where the browser knows no such image. */
export async function claimedSize(blob) {
  const image = new Image();
  image.src = URL.createObjectURL(blob);
  const isRead = await new Promise((resolve) => { image.onload = () => resolve(true); image.onerror = () => resolve(false); });
  URL.revokeObjectURL(image.src);
  return isRead ? { width: image.naturalWidth, height: image.naturalHeight } : null;
}

/** Sizes of images that were asked for: decoding a large one takes a second. */
const sizes = new WeakMap();

export function imageSize(blob) {
  if (!sizes.has(blob)) sizes.set(blob, decodedSize(blob));
  return sizes.get(blob);
}

async function decodedSize(blob) {
  const bitmap = await createImageBitmap(blob);
  const size = { width: bitmap.width, height: bitmap.height };
  bitmap.close();
  return size;
}

/** RGBA of an image, brought to a size if one is given. */
export async function pixelsOf(blob, size) {
  const bitmap = await createImageBitmap(blob);
  const canvas = document.createElement("canvas");
  canvas.width = size?.width ?? bitmap.width;
  canvas.height = size?.height ?? bitmap.height;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return pen.getImageData(0, 0, canvas.width, canvas.height);
}

export function blobOf(canvas, type = "image/png", quality) {
  return new Promise((resolve) => canvas.toBlob(resolve, type, quality));
}
