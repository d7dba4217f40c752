// The history in IndexedDB: one record for each picture that was opened or accepted. Without it, in memory.

const NAME = "retouch";
const STEPS = "steps";
const MOST_STEPS = 60;

export class Store {
  #db = null;
  #memory = new Map();

  /** Whether the browser keeps a database; until that is known, everything else waits. */
  isOpen = this.#open();

  /** Return every record, oldest first. */
  async all() {
    await this.isOpen;
    const records = this.#db === null ? [...this.#memory.values()] : await finished(this.#steps("readonly").getAll());
    return records.sort((one, other) => one.at - other.at);
  }

  async get(id) {
    await this.isOpen;
    return this.#db === null ? this.#memory.get(id) : finished(this.#steps("readonly").get(id));
  }

  /** Keep a record; returns whether older ones had to go for it. */
  async put(record) {
    await this.isOpen;
    if (this.#db === null) {
      this.#memory.set(record.id, record);
      return false;
    }
    let hasDropped = await this.#drop(MOST_STEPS, record.id);
    for (;;) {
      try {
        await finished(this.#steps("readwrite").put(record));
        return hasDropped;
      } catch (error) {
        const count = (await this.all()).length;
        if (error.name !== "QuotaExceededError" || count === 0 || !(await this.#drop(count - 1, record.id))) throw error;
        hasDropped = true;
      }
    }
  }

  /** Change some values of a record; without effect where it is gone. */
  async patch(id, values) {
    const record = await this.get(id);
    return record === undefined ? false : this.put({ ...record, ...values });
  }

  async clear() {
    await this.isOpen;
    this.#memory.clear();
    if (this.#db !== null) await finished(this.#steps("readwrite").clear());
  }

  async #open() {
    try {
      const opening = indexedDB.open(NAME, 1);
      opening.addEventListener("upgradeneeded", () => opening.result.createObjectStore(STEPS, { keyPath: "id" }));
      this.#db = await finished(opening);
      return true;
    } catch {
      return false;
    }
  }

  /** Drop the oldest until `most` are left, never the one named. */
  async #drop(most, kept) {
    const others = (await this.all()).filter(({ id }) => id !== kept);
    const gone = others.slice(0, Math.max(0, others.length - most));
    for (const { id } of gone) await finished(this.#steps("readwrite").delete(id));
    return gone.length > 0;
  }

  #steps(mode) {
    return this.#db.transaction(STEPS, mode).objectStore(STEPS);
  }
}

function finished(request) {
  return new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", (event) => (event.preventDefault(), reject(request.error)));
    request.addEventListener("blocked", () => reject(new Error("another page holds the history")));
  });
}
