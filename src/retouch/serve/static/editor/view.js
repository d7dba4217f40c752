/** The view: where the picture lies on the screen. Everything here is in device pixels. */

const LARGEST_SCALE = 32;
const MARGIN = 24;

export class View {
  scale = 1;
  x = 0;
  y = 0;
  width = 1;
  height = 1;
  isFitted = true;  // until the user zooms or pans, a window that changes its size fits again

  /** The picture's rectangle, border included: {x0, y0, x1, y1} in picture pixels. */
  bounds = { x0: 0, y0: 0, x1: 1, y1: 1 };

  toPicture(x, y) {
    return { x: (x - this.x) / this.scale, y: (y - this.y) / this.scale };
  }

  toScreen(x, y) {
    return { x: this.x + x * this.scale, y: this.y + y * this.scale };
  }

  /** The picture pixels that can be seen, as a rectangle of whole pixels. */
  get visible() {
    const a = this.toPicture(0, 0), b = this.toPicture(this.width, this.height);
    return { x0: Math.floor(a.x), y0: Math.floor(a.y), x1: Math.ceil(b.x), y1: Math.ceil(b.y) };
  }

  resize(width, height) {
    this.x += (width - this.width) / 2;
    this.y += (height - this.height) / 2;
    this.width = width;
    this.height = height;
    if (this.isFitted) this.fit();
    else this.#hold();
  }

  fit() {
    this.scale = Math.min(this.#fitting, LARGEST_SCALE);
    this.#centre();
    this.isFitted = true;
  }

  setScale(scale) {
    this.zoom(scale / this.scale, this.width / 2, this.height / 2);
  }

  /** Zoom so that what lies under (x, y) stays there. */
  zoom(factor, x, y) {
    const least = Math.min(this.#fitting / 2, 1), at = this.toPicture(x, y);
    this.scale = Math.min(LARGEST_SCALE, Math.max(least, this.scale * factor));
    this.x = x - at.x * this.scale;
    this.y = y - at.y * this.scale;
    this.isFitted = false;
    this.#hold();
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.isFitted = false;
    this.#hold();
  }

  /** Scroll as far as needed to show a point of the picture. */
  reveal({ x, y }) {
    const at = this.toScreen(x, y), before = [this.x, this.y];
    this.x += Math.max(0, MARGIN - at.x) - Math.max(0, at.x - this.width + MARGIN);
    this.y += Math.max(0, MARGIN - at.y) - Math.max(0, at.y - this.height + MARGIN);
    return before[0] !== this.x || before[1] !== this.y;
  }

  get #fitting() {
    const { x0, y0, x1, y1 } = this.bounds;
    const room = (side) => Math.max(side - 2 * MARGIN, side / 2);
    return Math.min(room(this.width) / (x1 - x0), room(this.height) / (y1 - y0));
  }

  #centre() {
    const { x0, y0, x1, y1 } = this.bounds;
    this.x = (this.width - (x0 + x1) * this.scale) / 2;
    this.y = (this.height - (y0 + y1) * this.scale) / 2;
  }

  /** The picture can be moved aside, but never out of sight. */
  #hold() {
    const { x0, y0, x1, y1 } = this.bounds, { scale } = this;
    const clamp = (value, low, high) => Math.min(Math.max(value, Math.min(low, high)), Math.max(low, high));
    this.x = clamp(this.x, this.width * 0.25 - x1 * scale, this.width * 0.75 - x0 * scale);
    this.y = clamp(this.y, this.height * 0.25 - y1 * scale, this.height * 0.75 - y0 * scale);
  }
}
