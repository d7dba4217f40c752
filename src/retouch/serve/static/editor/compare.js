/** Before and after: a variant over the picture, whole or left of a line that can be moved. */

import { outer } from "./border.js";

const STEP = 0.02;

export class Compare {
  image = null;
  split = null;

  /** `moved` is called after the user moved the line. */
  constructor(host, label, moved) {
    this.host = host;
    this.moved = moved;
    this.handle = document.createElement("div");
    this.handle.className = "editor-split";
    this.handle.tabIndex = 0;
    this.handle.hidden = true;
    const attributes = { role: "slider", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100 };
    Object.entries(attributes).forEach(([name, value]) => this.handle.setAttribute(name, value));
    host.append(this.handle);
    this.handle.addEventListener("pointerdown", (event) => this.#grab(event));
    this.handle.addEventListener("pointermove", (event) => this.#drag(event));
    this.handle.addEventListener("keydown", (event) => this.#key(event));
  }

  set({ image = null, split = null }) {
    this.image = image;
    this.split = split === null ? null : Math.min(1, Math.max(0, split));
  }

  /** Where the variant's corner lies in picture pixels: a picture of the bordered size begins in the border. */
  origin(size, border) {
    const { x0, y0, x1, y1 } = outer(size, border);
    const isBordered = this.image.width === x1 - x0 && this.image.height === y1 - y0;
    return isBordered ? { x: x0, y: y0 } : { x: 0, y: 0 };
  }

  /** Draw the variant, and put the handle where the line is. */
  draw(context, view, size, border, ratio) {
    this.handle.hidden = !this.image || this.split === null;
    if (!this.image) return;
    const { x, y } = this.origin(size, border), from = view.toScreen(x, y);
    const to = view.toScreen(x + this.image.width, y + this.image.height);
    this.range = [Math.max(0, from.x) / ratio, Math.min(view.width, to.x) / ratio];
    context.save();
    if (this.split !== null) {
      const line = this.range[0] + this.split * (this.range[1] - this.range[0]);
      this.handle.style.left = `${line}px`;
      this.handle.setAttribute("aria-valuenow", Math.round(this.split * 100));
      context.beginPath();
      context.rect(0, 0, Math.round(line * ratio), view.height);
      context.clip();
    }
    context.imageSmoothingEnabled = view.scale < 3;
    context.imageSmoothingQuality = view.scale < 0.5 ? "medium" : "low";
    context.drawImage(this.image, from.x, from.y, to.x - from.x, to.y - from.y);
    context.restore();
  }

  close() {
    this.handle.remove();
  }

  #grab(event) {
    if (event.button !== 0) return;
    event.stopPropagation();
    this.handle.setPointerCapture(event.pointerId);
  }

  #drag(event) {
    event.stopPropagation();
    if (!this.handle.hasPointerCapture(event.pointerId)) return;
    const [left, right] = this.range, x = event.clientX - this.host.getBoundingClientRect().left;
    this.#move((x - left) / Math.max(1, right - left));
  }

  #key(event) {
    const steps = { ArrowLeft: -STEP, ArrowDown: -STEP, ArrowRight: STEP, ArrowUp: STEP, PageDown: -0.1, PageUp: 0.1 };
    const ends = { Home: 0, End: 1 };
    if (!(event.key in steps) && !(event.key in ends)) return;
    event.preventDefault();
    event.stopPropagation();
    this.#move(ends[event.key] ?? this.split + steps[event.key]);
  }

  #move(split) {
    this.set({ image: this.image, split });
    this.moved();
  }
}
