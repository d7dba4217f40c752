// One piece of work from the button to its pictures: sent, followed, sent again where a server was lost on the way.

import { randomId } from "./dom.js";
import { failureOf } from "./errors.js";

const ENDED = new Set(["done", "failed", "blocked", "cancelled", "interrupted", "expired"]);
const MOST_RUNS = 3;

export class Work {
  #abort = null;
  #jobId = null;

  /** `onPreview(url)` is given rough pictures, `onJob(id)` the job under way, null once there is none. */
  constructor({ client, server, state, onPreview, onJob }) {
    Object.assign(this, { client, server, state, onPreview, onJob });
  }

  get isUnderWay() {
    return this.#abort !== null;
  }

  /**
   * Send a form and see it through, or a job that was sent before; returns the job's view and its pictures, null
   * where it was cancelled.
   */
  async run(makeForm, jobId = null) {
    this.#jobId = jobId;
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    try {
      const form = jobId === null ? makeForm() : null;
      if (form === null) this.#tell({ phase: "resuming" });
      for (let run = 1; ; run += 1) {
        signal.throwIfAborted();
        const view = await this.#once(form, signal);
        if (view.state === "interrupted" && form !== null && run < MOST_RUNS) {
          this.#tell({ phase: "again" });
          continue;
        }
        if (view.state === "cancelled") return null;
        if (view.state !== "done") throw failureOf(view);
        return { view, pictures: await this.#pictures(view, signal) };
      }
    } catch (error) {
      if (signal.aborted) return null;
      throw error;
    } finally {
      this.#abort = this.#jobId = null;
      this.onJob(null);
      this.state.set({ work: null });
    }
  }

  /** Give the work up, here and on the server. */
  cancel() {
    const id = this.#jobId;
    this.#abort?.abort();
    if (id !== null) this.client.cancel(id).catch(() => {}); // it may have ended, or the server be gone
  }

  async #once(form, signal) {
    if (form !== null) {
      this.#tell({ phase: "sending" });
      const id = randomId();
      const job = await this.server.insist(() => this.#submit(form, id, signal), signal);
      this.#jobId = job.id;
      if (signal.aborted) this.client.cancel(job.id).catch(() => {});
      this.onJob(job.id);
    }
    try {
      return await this.server.insist(() => this.#follow(this.#jobId, signal), signal);
    } catch (error) {
      if (error.status === 404) return { state: "interrupted" }; // the server was started anew, with other jobs
      throw error;
    }
  }

  /** Send it; where there is no room, come again when the server says. */
  async #submit(form, id, signal) {
    for (;;) {
      try {
        return await this.client.submit(form, { id, signal });
      } catch (error) {
        if (error.status !== 429) throw error;
        const seconds = error.retryAfterS ?? 5;
        this.#tell({ phase: "full", seconds });
        await pause(1000 * seconds, signal);
      }
    }
  }

  async #follow(id, signal) {
    for await (const { event, data } of this.client.follow(id, signal)) {
      if (ENDED.has(event)) return data;
      if (event === "queued") this.#tell({ phase: "queued", position: data.position });
      if (event === "step") this.#tell({ phase: "running", ...data.progress });
      if (event === "preview") this.onPreview(data.image);
    }
    return this.#polled(id, signal);
  }

  /** Ask for a job whose events ended early. */
  async #polled(id, signal) {
    for (;;) {
      const view = await this.client.job(id);
      if (ENDED.has(view.state)) return view;
      await pause(1000, signal);
    }
  }

  #pictures(view, signal) {
    this.#tell({ phase: "fetching" });
    const each = view.result.images.map((_, index) => this.server.insist(() => this.client.picture(view.id, index), signal));
    return Promise.all(each);
  }

  #tell(work) {
    if (!this.#abort.signal.aborted) this.state.set({ work });
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });
}
