// The chain of edits: each picture that was opened or accepted is a step, which remembers what was tried on it.

import { blobOf, randomId, thumbnail } from "./dom.js";
import { Problem } from "./errors.js";
import { texts } from "./texts.js";

const CURRENT = "retouch.step";
const THUMB_PX = 96;

export class Chain {
  #saving = null;

  constructor({ editor, state, store }) {
    Object.assign(this, { editor, state, store });
    editor.addEventListener("mask", () => this.#saveMaskSoon());
  }

  /** Make a file the picture; what its predecessor showed is left behind in the history. */
  async open(blob, name, { label = texts.opened, isNext = false } = {}) {
    this.#checkBytes(blob);
    await (isNext ? this.editor.replace(blob) : this.editor.open(blob));
    const { width, height } = this.editor.size;
    const thumb = await blobOf(await thumbnail(blob, THUMB_PX), "image/webp", 0.8);
    const step = { id: randomId(), at: Date.now(), name, label, image: blob, width, height, thumb, mask: null, result: null };
    this.#show(step);
    await this.#keep(() => this.store.put(step));
  }

  /** Remember what was tried on the picture, and show it. */
  async attach(result, mask, fields) {
    this.state.set({ result, chosen: firstShown(result) });
    this.state.setView({ shows: "result", split: null, overlay: "none" });
    await this.#keep(() => this.store.patch(this.state.now.stepId, { result, mask, fields }));
  }

  /** Make a variant the picture. */
  async accept(index) {
    const { result, picture } = this.state.now;
    await this.open(result.variants[index].blob, picture.name, { label: result.prompt || texts.form.start, isNext: true });
  }

  /** Go to a step as it was left: its picture, its mask, and what was tried on it. */
  async goTo(id) {
    const step = await this.store.get(id);
    if (step === undefined) return;
    await this.editor.open(step.image);
    if (step.mask !== null) await this.editor.loadMask(step.mask);
    this.#show(step);
    if (step.fields) this.state.set({ fields: { ...step.fields } });
  }

  /** After a reload: list the steps, and go to the one that was there. */
  async restore() {
    await this.#list();
    const id = remembered();
    const isFree = this.state.now.picture === null; // nobody was faster
    if (isFree && this.state.now.steps.some((step) => step.id === id)) await this.goTo(id);
  }

  /** Forget every step; the picture that is shown stays, as the only one. */
  async clear() {
    const { stepId } = this.state.now;
    const step = stepId === null ? undefined : await this.store.get(stepId);
    await this.store.clear();
    if (step !== undefined) await this.#keep(() => this.store.put(step));
    else await this.#list();
  }

  /** Write the mask down once a person has paused. */
  #saveMaskSoon() {
    clearTimeout(this.#saving);
    const { stepId } = this.state.now;
    this.#saving = setTimeout(async () => {
      if (stepId === null || stepId !== this.state.now.stepId || this.state.now.work !== null) return;
      const mask = this.editor.isMaskEmpty ? null : await this.editor.maskBlob();
      await this.#keep(() => this.store.patch(stepId, { mask }));
    }, 1500);
  }

  #show(step) {
    const { id, name, width, height, result } = step;
    remember(id);
    this.state.set({ picture: { name, width, height }, stepId: id, result, chosen: result ? firstShown(result) : 0, border: null });
    this.state.setView({ shows: "result", split: null, overlay: result ? "none" : "mask" });
  }

  async #keep(write) {
    try {
      if (await write()) this.state.set({ notice: { kind: "info", title: texts.history.full } });
    } catch (error) {
      console.warn(error);
      this.state.set({ notice: { kind: "warning", title: texts.history.off } });
    }
    await this.#list();
  }

  async #list() {
    const steps = await this.store.all();
    this.state.set({ steps: steps.map(({ id, at, name, label, thumb }) => ({ id, at, name, label, thumb })) });
  }

  #checkBytes(blob) {
    const limit = this.state.now.about?.limits.image_bytes ?? Infinity;
    if (blob.size > limit) throw new Problem("body_too_large");
  }
}

function firstShown({ variants }) {
  return Math.max(0, variants.findIndex((variant) => !variant.isRefused));
}

function remember(id) {
  try {
    localStorage.setItem(CURRENT, id);
  } catch {
    // a browser that keeps nothing
  }
}

function remembered() {
  try {
    return localStorage.getItem(CURRENT);
  } catch {
    return null;
  }
}
