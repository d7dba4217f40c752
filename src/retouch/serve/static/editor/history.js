/** Undo and redo: a step is the packed difference of the tiles it changed, the same for both directions. */

import { pack, xorPacked } from "./packbits.js";
import { TILE } from "./tiles.js";

const BUDGET_BYTES = 128 * 1024 * 1024;  // thousands of strokes; the oldest go first

const differenceOf = (before, now) => {
  const bytes = new Uint8Array(TILE * TILE);
  const a = typeof before === "number", b = typeof now === "number";
  for (let i = 0; i < bytes.length; i++) bytes[i] = (a ? before : before[i]) ^ (b ? now : now[i]);
  return pack(bytes);
};

export class History {
  #done = [];
  #undone = [];
  #bytes = 0;

  constructor(mask) {
    this.mask = mask;
  }

  get canUndo() {
    return this.#done.length > 0;
  }

  get canRedo() {
    return this.#undone.length > 0;
  }

  /** Make the mask's change a step. Returns whether there was any. */
  commit() {
    const step = this.mask.commit().map(([index, before, now]) => [index, differenceOf(before, now)]);
    if (!step.length) return false;
    this.#undone.forEach((old) => this.#count(old, -1));
    this.#undone = [];
    this.#done.push(step);
    this.#count(step, 1);
    while (this.#bytes > BUDGET_BYTES && this.#done.length > 1) this.#count(this.#done.shift(), -1);
    return true;
  }

  undo() {
    return this.#move(this.#done, this.#undone);
  }

  redo() {
    return this.#move(this.#undone, this.#done);
  }

  #move(from, to) {
    const step = from.pop();
    if (!step) return false;
    for (const [index, packed] of step) {
      xorPacked(packed, this.mask.writable(index));
      this.mask.changed(this.mask.rectangleOf(index));
    }
    this.mask.commit();
    to.push(step);
    return true;
  }

  #count(step, sign) {
    for (const [, packed] of step) this.#bytes += sign * packed.length;
  }
}
