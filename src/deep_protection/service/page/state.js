/** What was made, kept in this browser: every job has an address (`#protect/ID`), and reload and Back find it again. */

const DATABASE = "deep-protection", STORE = "results", MOST = 24;
const ADDRESS = /^#?(\w+)(?:\/([0-9a-f]{32}))?$/;

let opening = null;
/** Where the browser keeps nothing for us, as in some private windows: until the page is left. */
const inMemory = new Map();

function database() {
  opening ??= new Promise((resolve) => {
    try {
      const asked = indexedDB.open(DATABASE, 1);
      asked.onupgradeneeded = () => asked.result.createObjectStore(STORE, { keyPath: "id" });
      asked.onsuccess = () => resolve(asked.result);
      asked.onerror = asked.onblocked = () => resolve(null);
    } catch {
      resolve(null);
    }
  });
  return opening;
}

async function ask(mode, work) {
  const opened = await database();
  if (!opened) return null;
  return new Promise((resolve) => {
    let transaction;
    try {
      transaction = opened.transaction(STORE, mode);
    } catch {  // the browser closed it by itself
      opening = null;
      resolve(null);
      return;
    }
    const asked = work(transaction.objectStore(STORE));
    transaction.oncomplete = () => resolve({ found: asked?.result });
    transaction.onerror = transaction.onabort = () => resolve(null);
  });
}

/** @param {{id: string, tab: string, name: string, original: Blob, [more: string]: any}} record of a job */
export async function keep(record) {
  const whole = { created: Date.now(), ...record };
  if (!(await ask("readwrite", (store) => store.put(whole)))) inMemory.set(whole.id, whole);
  for (const old of (await all()).slice(MOST)) await forget(old.id);
}

/** Keeps in a word or two what became of a job. */
export async function entitle(id, title) {
  const record = await recall(id);
  if (record) await keep({ ...record, title });
}

export async function recall(id) {
  return inMemory.get(id) ?? (await ask("readonly", (store) => store.get(id)))?.found ?? null;
}

export async function forget(id) {
  inMemory.delete(id);
  await ask("readwrite", (store) => store.delete(id));
}

/** The latest of a tab, newest first. */
export async function recent(tab, count = 6) {
  return (await all()).filter((record) => record.tab === tab).slice(0, count);
}

async function all() {
  const kept = (await ask("readonly", (store) => store.getAll()))?.found ?? [];
  return [...kept, ...inMemory.values()].sort((one, other) => other.created - one.created);
}

/** The tab and the job of an address; both null where it is neither. */
export function parse(hash) {
  const [, tab = null, id = null] = ADDRESS.exec(hash) ?? [];
  return { tab, id };
}

/** Gives the page the address of a job, or of a tab alone. */
export function setAddress(tab, id = null) {
  const hash = id ? `#${tab}/${id}` : `#${tab}`;
  if (location.hash !== hash) history.pushState(null, "", hash);
}
