// The one state of the page: modules change it by `set`, and render from it when what they read has changed.

export const INITIAL = {
  about: null, // what GET /v1/about says
  server: "here", // here | away | ending
  picture: null, // {name, width, height}
  fields: { prompt: "", negative_prompt: "", num_images_per_prompt: "2" }, // by the names of a request; "" is silence
  tool: "brush",
  mask: { isEmpty: true, coverage: 0, canUndo: false, canRedo: false },
  border: null, // {left, top, right, bottom} while the picture is being made larger
  work: null, // {phase, position, step, total, until}
  result: null, // {variants: [{blob, bitmap, seed, spoken, isRefused, isKept, safety}], prompt, report, warnings, settled}
  chosen: 0, // the variant that is shown
  view: { shows: "result", split: null, overlay: "mask" }, // shows: result | picture
  steps: [], // of the history, oldest first: {id, name, label, thumb, at}
  stepId: null,
  notice: null, // {kind: error | warning | info, title, text, action}
  singleKeys: true, // shortcuts of one key; a person may switch them off
};

export class State {
  #values;
  #listeners = new Set();
  #changed = new Set();

  constructor(values = INITIAL) {
    this.#values = { ...values };
  }

  get now() {
    return this.#values;
  }

  /** Change some values; listeners are told once, after the current task. */
  set(patch) {
    for (const [name, value] of Object.entries(patch)) {
      if (!(name in this.#values)) throw new Error(`the state has no ${name}`);
      if (Object.is(this.#values[name], value)) continue;
      this.#values[name] = value;
      if (this.#changed.size === 0) queueMicrotask(() => this.#tell());
      this.#changed.add(name);
    }
  }

  /** Change some fields of the request. */
  setFields(patch) {
    this.set({ fields: { ...this.#values.fields, ...patch } });
  }

  /** Change how the picture is looked at. */
  setView(patch) {
    this.set({ view: { ...this.#values.view, ...patch } });
  }

  /** Call `render` with the state now, and whenever one of `names` has changed. */
  on(names, render) {
    this.#listeners.add({ names, render });
    render(this.#values);
  }

  #tell() {
    const changed = new Set(this.#changed);
    this.#changed.clear();
    for (const { names, render } of this.#listeners) {
      if (names.some((name) => changed.has(name))) render(this.#values);
    }
  }
}
