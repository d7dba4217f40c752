// Whether the server is there: asked while a person looks at the page, and often while it is away.

import { Away } from "./client.js";

const IDLE_MS = 15_000;
const AWAY_MS = 2_000;

export class Server {
  #timer = null;
  #waiting = [];

  constructor(client, state) {
    this.client = client;
    this.state = state;
    document.addEventListener("visibilitychange", () => this.look());
    this.#later();
  }

  /** Ask now, and tell who waits for it. */
  async look() {
    if (document.hidden && this.#waiting.length === 0) return this.#later();
    const server = await this.client.look();
    this.state.set({ server });
    if (server === "here") for (const resolve of this.#waiting.splice(0)) resolve();
    return this.#later();
  }

  /** Note that a call got no answer, and wait until the server takes work again. */
  async back(signal) {
    this.state.set({ server: "away" });
    const here = new Promise((resolve, reject) => {
      this.#waiting.push(resolve);
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    this.#later();
    await here;
  }

  /** Do a call; where no answer comes, do it again when the server is back. */
  async insist(call, signal) {
    for (;;) {
      try {
        return await call();
      } catch (error) {
        const isAway = error instanceof Away || error.code === "draining" || error.code === "engine_closed";
        if (!isAway) throw error;
        signal.throwIfAborted();
        await this.back(signal);
      }
    }
  }

  #later() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.look(), this.state.now.server === "here" ? IDLE_MS : AWAY_MS);
  }
}
