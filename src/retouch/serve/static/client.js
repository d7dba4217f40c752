// The native job API, and nothing else of the server. Paths are relative, so that a proxy may put it under a prefix.

import { parseEvents } from "./events.js";

const KEY = "retouch.key";

/** What the server answered in place of what was asked. */
export class Refused extends Error {
  constructor(status, { code = "internal", message = "", hint = "", request_id: requestId = "" } = {}, retryAfterS = null) {
    super(message);
    Object.assign(this, { status, code, hint, requestId, retryAfterS });
  }
}

/** No answer came: the server, or the way to it, is gone. */
export class Away extends Error {}

export class Client {
  /** `askKey(isWrong)` returns a key that a person gave, or null if they would not. */
  constructor({ askKey }) {
    this.askKey = askKey;
  }

  about() {
    return this.#json("v1/about");
  }

  /** Send work; sent again with the same `id` it is the same job. */
  submit(form, { id, signal }) {
    const headers = { Prefer: "respond-async", "Idempotency-Key": id };
    return this.#json("v1/inpaint", { method: "POST", body: form, headers, signal });
  }

  job(id) {
    return this.#json(`v1/jobs/${id}`);
  }

  cancel(id) {
    return this.#json(`v1/jobs/${id}`, { method: "DELETE" });
  }

  async picture(id, index) {
    return this.#body((await this.#fetch(`v1/jobs/${id}/result/${index}`)).blob());
  }

  /** Yield the events of a job until it has ended. */
  async *follow(id, signal) {
    const answer = await this.#fetch(`v1/jobs/${id}/events?previews=true`, { signal });
    const events = parseEvents(answer.body);
    for (;;) {
      const { value, done } = await this.#body(events.next());
      if (done) return;
      yield value;
    }
  }

  /** Say whether the server takes work: here, ending, or away. */
  async look() {
    try {
      const answer = await fetch("health/ready", { cache: "no-store", signal: AbortSignal.timeout(5000) });
      return answer.ok ? "here" : "ending";
    } catch {
      return "away";
    }
  }

  async #json(path, options) {
    return this.#body((await this.#fetch(path, options)).json());
  }

  /** Wait for the rest of an answer, whose connection may break. */
  async #body(promise) {
    try {
      return await promise;
    } catch (error) {
      throw error.name === "AbortError" ? error : new Away(String(error));
    }
  }

  async #fetch(path, options = {}) {
    for (let asked = 0; ; asked += 1) {
      const key = sessionStorage.getItem(KEY);
      const headers = { ...options.headers, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
      const answer = await this.#body(fetch(path, { cache: "no-store", ...options, headers }));
      if (answer.ok) return answer;
      const error = await refusal(answer);
      if (answer.status !== 401) throw error;
      if (sessionStorage.getItem(KEY) !== key) continue; // another call has asked meanwhile
      const given = await this.askKey(key !== null);
      if (given === null) throw error;
      sessionStorage.setItem(KEY, given);
    }
  }
}

async function refusal(answer) {
  const wait = Number.parseInt(answer.headers.get("retry-after") ?? "", 10);
  const retryAfterS = Number.isNaN(wait) ? null : wait;
  try {
    return new Refused(answer.status, (await answer.json()).error, retryAfterS);
  } catch {
    return new Refused(answer.status, {}, retryAfterS); // a proxy's page, perhaps
  }
}
