/** Outpainting: pixels added around the picture, by handles or arrow keys, and the two files that a server wants. */

import { strokeTwice } from "./marks.js";
import { saveMask } from "./mask_file.js";

export const NO_BORDER = Object.freeze({ left: 0, top: 0, right: 0, bottom: 0 });
const REACH_PX = 18;  // on the screen
const STEP_PX = 8;
const SIDES = { ArrowLeft: "left", ArrowUp: "top", ArrowRight: "right", ArrowDown: "bottom" };

/** The picture with its border: {x0, y0, x1, y1} in picture pixels. */
export const outer = ({ width, height }, border) => ({
  x0: -border.left, y0: -border.top, x1: width + border.right, y1: height + border.bottom,
});

/** The tool `extend`: its handles are the sides and corners of the picture with its border. */
export class Extend {
  #held = [];
  #from = null;

  constructor(editor) {
    this.editor = editor;
  }

  /** The sides that a point {x, y} of the picture takes hold of. */
  sidesAt({ x, y }) {
    const { x0, y0, x1, y1 } = outer(this.editor.size, this.editor.border);
    const reach = (REACH_PX * this.editor.stage.ratio) / this.editor.view.scale;
    if (x < x0 - reach || x > x1 + reach || y < y0 - reach || y > y1 + reach) return [];
    const nearer = (value, low, high, names) => {
      const [a, b] = [Math.abs(value - low), Math.abs(value - high)];
      return Math.min(a, b) > reach ? [] : [a < b ? names[0] : names[1]];
    };
    return [...nearer(x, x0, x1, ["left", "right"]), ...nearer(y, y0, y1, ["top", "bottom"])];
  }

  cursorAt(at) {
    const sides = this.#from ? this.#held : this.sidesAt(at), key = sides.join(" ");
    if (!key) return "default";
    if (sides.length === 1) return /left|right/.test(key) ? "ew-resize" : "ns-resize";
    return key === "left top" || key === "right bottom" ? "nwse-resize" : "nesw-resize";
  }

  down(at) {
    this.#held = this.sidesAt(at);
    this.#from = { at, border: this.editor.border };
  }

  move(at) {
    if (!this.#from) return;
    const dx = at.x - this.#from.at.x, dy = at.y - this.#from.at.y, moved = { left: -dx, right: dx, top: -dy, bottom: dy };
    const sides = this.#held.map((side) => [side, snapped(this.#from.border[side] + moved[side])]);
    this.editor.border = { ...this.editor.border, ...Object.fromEntries(sides) };
  }

  up() {
    if (this.#held.length && this.editor.view.isFitted) this.editor.fit();
    this.#from = null;
  }

  cancel() {
    if (this.#from) this.editor.border = this.#from.border;
    this.#from = null;
  }

  /** An arrow key moves its side outwards; with shift, inwards. Returns whether it was one. */
  key(event) {
    const side = SIDES[event.key], { border } = this.editor;
    if (!side) return false;
    this.editor.border = { ...border, [side]: border[side] + (event.shiftKey ? -STEP_PX : STEP_PX) };
    if (this.editor.view.isFitted) this.editor.fit();
    return true;
  }

  draw(context, ratio) {
    const { x0, y0, x1, y1 } = outer(this.editor.size, this.editor.border), { view } = this.editor;
    const a = view.toScreen(x0, y0), b = view.toScreen(x1, y1), half = 14 * ratio, arm = 10 * ratio;
    context.beginPath();
    context.rect(a.x, a.y, b.x - a.x, b.y - a.y);
    strokeTwice(context, ratio);
    context.beginPath();
    const [mx, my] = [(a.x + b.x) / 2, (a.y + b.y) / 2];
    for (const x of [a.x, b.x]) context.moveTo(x, my - half), context.lineTo(x, my + half);
    for (const y of [a.y, b.y]) context.moveTo(mx - half, y), context.lineTo(mx + half, y);
    for (const [x, dx] of [[a.x, arm], [b.x, -arm]]) {
      for (const [y, dy] of [[a.y, arm], [b.y, -arm]]) {
        context.moveTo(x + dx, y), context.lineTo(x, y), context.lineTo(x, y + dy);
      }
    }
    context.lineCap = "round";
    strokeTwice(context, ratio * 2.4);
    context.lineCap = "butt";
  }
}

const snapped = (pixels) => Math.max(0, Math.round(pixels / STEP_PX) * STEP_PX);

/** The picture in its border: its outermost pixels are drawn out, so that the border is neither black nor white. */
const withBorder = (bitmap, border) => {
  const { width, height } = bitmap, { left, top, right, bottom } = border;
  const canvas = new OffscreenCanvas(width + left + right, height + top + bottom), context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  const columns = [[0, 1, 0, left], [0, width, left, width], [width - 1, 1, left + width, right]];
  const rows = [[0, 1, 0, top], [0, height, top, height], [height - 1, 1, top + height, bottom]];
  for (const [sx, sw, x, w] of columns) {
    for (const [sy, sh, y, h] of rows) if (w && h) context.drawImage(bitmap, sx, sy, sw, sh, x, y, w, h);
  }
  return canvas.convertToBlob();
};

/** {image, mask}: PNG Blobs of the picture with its border; the border is repainted, and what the mask marks. */
export const compose = async (picture, mask, border) => ({
  image: await withBorder(picture.bitmap, border),
  mask: await saveMask(mask, border),
});
