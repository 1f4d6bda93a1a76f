/** Talking with the service: requests, jobs, their events, and what to do when it is busy or gone. */

const BASE = new URL(".", document.baseURI);
const FINAL = new Set(["done", "failed", "cancelled", "expired"]);

/** Tells "gone" and "back": whether the server answers. */
export const server = new EventTarget();

/** Addresses of jobs that nobody can come back to. */
const waitedFor = new Set();

/** Why a signal is aborted where only the page turns to something else: the job goes on, and can be come back to. */
export const LEFT = new DOMException("turned to something else", "AbortError");

/** @type {string | null} */
let token = null;
/** @type {(wasWrong: boolean) => Promise<string | null>} */
let askForToken = async () => null;
let away = null;

export function onTokenNeeded(ask) {
  askForToken = ask;
}

/** What the service, or the way to it, had to say. */
export class ServiceError extends Error {
  constructor(code, message, { status = 0, retryAfter = 0 } = {}) {
    super(message);
    this.code = code;
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** Aborted as soon as one of several is. @type {(signals: AbortSignal[]) => AbortSignal} */
export const either = (signals) => /** @type {any} */ (AbortSignal).any(signals);

export const isAbort = (error) => error?.name === "AbortError";

/** A response that is fine; everything else is thrown as a ServiceError. */
export async function request(path, init = {}) {
  for (let isRetry = false; ; isRetry = true) {
    const headers = new Headers(init.headers);
    if (token) headers.set("Authorization", `Bearer ${token}`);
    let response;
    try {
      response = await fetch(new URL(path.replace(/^\//, ""), BASE), { ...init, headers });
    } catch (error) {
      if (isAbort(error)) throw error;
      whenBack();
      throw new ServiceError("unreachable", "The server does not answer. Your image is still here; try again once it is back.");
    }
    if (response.ok) return response;
    if (response.status === 401) {
      token = await askForToken(isRetry || token !== null);
      if (token) continue;
    }
    throw await errorOf(response);
  }
}

async function errorOf(response) {
  let told = {};
  try {
    told = (await response.json()).error ?? {};
  } catch {
    // Something between us and the service answered; its status is all there is.
  }
  const message = told.message ?? `The server answered with ${response.status} ${response.statusText}.`;
  const retryAfter = Number(response.headers.get("Retry-After")) || 0;
  return new ServiceError(told.code ?? "unknown", message, { status: response.status, retryAfter });
}

/** Resolves when the server answers again; one question at a time, whoever waits. */
export function whenBack() {
  away ??= (async () => {
    server.dispatchEvent(new Event("gone"));
    for (let pause = 1000; ; pause = Math.min(2 * pause, 15000)) {
      await sleep(pause);
      try {
        if ((await fetch(new URL("healthz", BASE), { cache: "no-store" })).ok) break;
      } catch {
        // Still away.
      }
    }
    away = null;
    server.dispatchEvent(new Event("back"));
  })();
  return away;
}

/** Waits for a promise, but no longer than `signal` allows. */
function unlessAborted(promise, signal) {
  return new Promise((resolve, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
    promise.then(resolve, reject);
  });
}

/** Rejects with an AbortError when `signal` says so. */
export function sleep(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => { clearTimeout(timer); reject(signal.reason); };
    const timer = setTimeout(() => { signal?.removeEventListener("abort", stop); resolve(); }, milliseconds);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}

export const json = async (path, init) => (await request(path, init)).json();
export const blob = async (path, init) => (await request(path, init)).blob();

/** Accepts a job; while the queue is full it waits as long as the server says, and tells `onWait` every second. */
async function submit(kind, image, { options = {}, mask, signal, onWait }) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(options)) {
    if (value !== "" && value !== undefined && value !== null) query.set(name, value);
  }
  let body = image;
  if (mask) {
    body = new FormData();
    body.append("image", image, "image");
    body.append("mask", mask, "mask.png");
  }
  const headers = mask ? {} : { "Content-Type": image.type || "application/octet-stream" };
  for (;;) {
    try {
      return await json(`v1/${kind}?${query}`, { method: "POST", body, headers });
    } catch (error) {
      if (error.status !== 429) throw error;
      for (let left = Math.max(1, Math.ceil(error.retryAfter)); left > 0; left--) {
        onWait?.(left);
        await sleep(1000, signal);
      }
      onWait?.(0);
    }
  }
}

/** Server-sent events of a response, as they come. */
async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value.replaceAll("\r", "");
    const blocks = rest.split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      let name = "message";
      const data = [];
      for (const line of block.split("\n")) {
        if (line.startsWith("event:")) name = line.slice(6).trim();
        else if (line.startsWith("data:")) data.push(line.slice(5).trim());
      }
      if (data.length) yield { name, data: JSON.parse(data.join("\n")) };
    }
  }
}

/** Follows a job to its end, over broken connections and restarts of the server. */
async function follow(job, { signal, onState, onProgress }) {
  for (let pause = 250; ; pause = Math.min(2 * pause, 8000)) {
    try {
      const response = await request(`v1/jobs/${job.id}/events`, { signal, headers: { Accept: "text/event-stream" } });
      for await (const { name, data } of eventsOf(response)) {
        if (name === "progress") onProgress?.(data);
        if (name === "state") onState?.(data);
        if (name === "state" && FINAL.has(data.state)) return data;
      }
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      const isBusy = error.status === 429 || error.status === 503;  // the job goes on all the same
      if (error instanceof ServiceError && error.code !== "unreachable" && !isBusy) throw error;
      if (!isBusy) await unlessAborted(whenBack(), signal);
    }
    await sleep(pause, signal);
  }
}

/**
 * @typedef {object} How
 * @property {object} [options] of the job
 * @property {Blob} [mask]
 * @property {AbortSignal} [signal]
 * @property {(seconds: number) => void} [onWait] while the queue is full
 * @property {(job: any) => Promise<void>} [onAccepted]
 * @property {(job: any) => void} [onState]
 * @property {(progress: any) => void} [onProgress]
 */

/**
 * Has the service do something and waits for it: the job's document when it is done.
 *
 * Throws a ServiceError when it failed, and an AbortError when `signal` ended it, here and, unless it was only `LEFT`,
 * on the server. A job of which `onAccepted` keeps the address goes on when the page is closed.
 *
 * @param {string} kind @param {Blob} image @param {How} how
 */
export async function run(kind, image, { options, mask, signal, onWait, onAccepted, onState, onProgress } = {}) {
  signal?.throwIfAborted();
  const accepted = await submit(kind, image, { options, mask, signal, onWait });
  const isKept = Boolean(onAccepted) && !signal?.aborted;
  if (isKept) await onAccepted(accepted);
  return attend(accepted, { signal, isKept, onState, onProgress });
}

/**
 * The same for a job that was begun before: throws a ServiceError where the server does not have it any more.
 * @param {string} id @param {How} how
 */
export async function resume(id, { signal, onState, onProgress } = {}) {
  const job = await json(`v1/jobs/${id}`, { signal });
  return attend(job, { signal, isKept: true, onState, onProgress });
}

async function attend(job, { signal, isKept, onState, onProgress }) {
  const address = `v1/jobs/${job.id}`;
  const dismiss = () => request(address, { method: "DELETE" });
  const drop = () => {
    if (isKept && signal.reason === LEFT) return;
    dismiss().catch((error) => (error.code === "unreachable" ? whenBack().then(dismiss) : null)).catch(() => {});
  };
  if (!isKept) waitedFor.add(address);
  if (!FINAL.has(job.state)) signal?.addEventListener("abort", drop, { once: true });
  try {
    if (signal?.aborted && !FINAL.has(job.state)) drop();
    signal?.throwIfAborted();
    onState?.(job);
    const ended = FINAL.has(job.state) ? job : await follow(job, { signal, onState, onProgress });
    if (ended.state === "done") return ended;
    const { code = ended.state, message = `The job was ${ended.state}.` } = ended.error ?? {};
    throw new ServiceError(code, message);
  } finally {
    waitedFor.delete(address);
    signal?.removeEventListener("abort", drop);
  }
}

// Nobody can come back to these once the page is closed or reloaded; they would only keep others waiting.
addEventListener("pagehide", () => {
  for (const address of waitedFor) request(address, { method: "DELETE", keepalive: true }).catch(() => {});
});
