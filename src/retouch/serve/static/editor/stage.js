/** The stage: three canvases of the window's size (picture, mask, marks), drawn at most once a frame. */

const LAYERS = ["picture", "mask", "marks"];
const LARGEST_RATIO = 3;

const stylesheet = () => {
  const href = new URL("editor.css", import.meta.url).href;
  if ([...document.styleSheets].some((sheet) => sheet.href === href)) return;
  document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href }));
};

export class Stage {
  #wanted = new Set();
  #parts = [];       // of the mask, on the screen
  #frame = 0;
  #observer;

  /**
   * `painters` holds a function for each layer: picture(context), mask(context, part), marks(context).
   * `resized(width, height)` is told the size in device pixels.
   */
  constructor(host, painters, resized) {
    stylesheet();
    this.host = host;
    this.painters = painters;
    host.classList.add("editor");
    this.contexts = Object.fromEntries(LAYERS.map((layer) => {
      const canvas = document.createElement("canvas");
      canvas.className = `editor-${layer}`;
      canvas.setAttribute("aria-hidden", "true");
      host.append(canvas);
      return [layer, canvas.getContext("2d")];
    }));
    this.#observer = new ResizeObserver(() => this.#measure(resized));
    this.#observer.observe(host);
    this.#measure(resized);
  }

  get ratio() {
    return Math.min(window.devicePixelRatio || 1, LARGEST_RATIO);
  }

  /** Device pixels of a pointer's or wheel's event. */
  at(event) {
    const box = this.host.getBoundingClientRect();
    return { x: (event.clientX - box.left) * this.ratio, y: (event.clientY - box.top) * this.ratio };
  }

  /** Draw these layers in the next frame. */
  draw(...layers) {
    layers.forEach((layer) => this.#wanted.add(layer));
    this.#frame ||= requestAnimationFrame(() => this.#paint());
  }

  drawAll() {
    this.draw(...LAYERS);
  }

  /** Draw a part {x0, y0, x1, y1} of the mask's layer in the next frame. */
  drawPart(part) {
    this.#parts.push(part);
    this.#frame ||= requestAnimationFrame(() => this.#paint());
  }

  close() {
    this.#observer.disconnect();
    cancelAnimationFrame(this.#frame);
    LAYERS.forEach((layer) => this.contexts[layer].canvas.remove());
    this.host.classList.remove("editor");
  }

  #paint() {
    this.#frame = 0;
    const wanted = this.#wanted, parts = this.#parts, { picture, mask, marks } = this.contexts;
    this.#wanted = new Set();
    this.#parts = [];
    if (wanted.has("picture")) this.painters.picture(picture);
    const whole = { x0: 0, y0: 0, x1: mask.canvas.width, y1: mask.canvas.height };
    if (wanted.has("mask")) this.painters.mask(mask, whole);
    else if (parts.length) this.#paintParts(mask, parts, whole);
    if (wanted.has("marks")) this.painters.marks(marks);
  }

  /** Draw what encloses all parts, as far as it is on the screen. */
  #paintParts(mask, parts, whole) {
    const part = {
      x0: Math.max(whole.x0, Math.floor(Math.min(...parts.map(({ x0 }) => x0))) - 1),
      y0: Math.max(whole.y0, Math.floor(Math.min(...parts.map(({ y0 }) => y0))) - 1),
      x1: Math.min(whole.x1, Math.ceil(Math.max(...parts.map(({ x1 }) => x1))) + 1),
      y1: Math.min(whole.y1, Math.ceil(Math.max(...parts.map(({ y1 }) => y1))) + 1),
    };
    if (part.x0 < part.x1 && part.y0 < part.y1) this.painters.mask(mask, part);
  }

  #measure(resized) {
    const width = Math.max(1, Math.round(this.host.clientWidth * this.ratio));
    const height = Math.max(1, Math.round(this.host.clientHeight * this.ratio));
    const { canvas } = this.contexts.picture;
    if (canvas.width === width && canvas.height === height) return;
    LAYERS.forEach((layer) => Object.assign(this.contexts[layer].canvas, { width, height }));
    resized(width, height);
    // At once, not in the next frame: a canvas that changed its size is empty, and would flicker.
    cancelAnimationFrame(this.#frame);
    LAYERS.forEach((layer) => this.#wanted.add(layer));
    this.#paint();
  }
}
