/** What the tabs have alike: a job has an address, is followed to its end, and is forgotten where it came to none. */

import { find, imageSize } from "./dom.js";
import { gone, tell } from "./errors.js";
import { forget, keep, setAddress } from "./state.js";
import { estimated, timeTold, Timing } from "./timing.js";
import { showUse } from "./use-api.js";

export class JobTab {
  /** @param {any} panel the tab; its id is the tab's name in addresses */
  constructor(panel) {
    this.panel = panel;
    this.timing = new Timing(find(".timing", panel));
    this.jobId = null;
  }

  /** Keeps a job under its address. */
  async keep(record) {
    this.jobId = record.id;
    await keep({ tab: this.panel.id, ...record });
    this.setAddress(record.id);
  }

  /** Gives the page the address of a job or of the tab, where this tab is open: that of another stays. */
  setAddress(id = null) {
    if (!this.panel.hidden) setAddress(this.panel.id, id);
  }

  /**
   * The document of a job that is done, with the time told until then.
   * @param {(how: object) => Promise<any>} work begins the job or comes back to it
   * @param {() => Promise<{seconds: number} | null>} estimate
   * @param {{signal: AbortSignal, phase?: string | null, fitting?: number, onProgress?: (progress: any) => void}} how
   */
  async follow(work, estimate, { signal, phase = null, fitting = 1, onProgress }) {
    this.timing.begin(null, { fitting });
    const expected = await estimate();
    signal.throwIfAborted();
    this.timing.begin(expected?.seconds ?? null, { fitting });
    return work({ signal, onProgress, onState: ({ state, started }) => { if (state === "running") this.timing.run(started, phase); } });
  }

  /** Says what went wrong; what did not come to an end is not kept, but where only the server is away. */
  async giveUp(place, error) {
    tell(place, gone(error));
    if (error.code === "unreachable") return;
    const id = this.jobId;
    this.jobId = null;
    if (id) await forget(id);
    this.setAddress();
  }

  /**
   * How long what is set up is likely to take, and how a program would ask for it.
   * @param {{kind: string, image: Blob | undefined, options: object, needsToken: boolean, isFree: boolean, late: string, inputs?: string[]}} what
   */
  async tellTime({ kind, image, options, needsToken, isFree, late, inputs }) {
    const place = find(".time-told", this.panel);
    const asked = this.asked = {};
    if (image) showUse(find(".use-api-code", this.panel), kind, options, { needsToken, inputs });
    if (!image || !isFree) {
      place.textContent = "";
      return;
    }
    const estimate = await estimated(kind, await imageSize(image), options);
    if (this.asked === asked) place.textContent = timeTold(estimate, late);
  }
}
