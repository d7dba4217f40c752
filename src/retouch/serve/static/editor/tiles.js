/** The mask: full resolution, one byte a pixel (0 keeps, 255 repaints), in tiles that exist only where painted. */

export const TILE = 256;

const union = (a, b) => a === null ? b : {
  x0: Math.min(a.x0, b.x0), y0: Math.min(a.y0, b.y0), x1: Math.max(a.x1, b.x1), y1: Math.max(a.y1, b.y1),
};

/** A tile is 0, 255 or bytes: what is wholly one value costs no memory. */
const solidOf = (bytes) => {
  const first = bytes[0];
  if (first !== 0 && first !== 255) return bytes;
  for (let i = 1; i < bytes.length; i++) if (bytes[i] !== first) return bytes;
  return first;
};

export class TileMask {
  #tiles = new Map();
  #before = new Map();   // tiles as they were before the change that is under way
  #painted = new Map();  // pixels of a tile that will be repainted, until the tile changes

  /** `changed` is called with every rectangle {x0, y0, x1, y1} that may look different now. */
  constructor(width, height, changed = () => {}) {
    this.width = width;
    this.height = height;
    this.columns = Math.ceil(width / TILE);
    this.rows = Math.ceil(height / TILE);
    this.changed = changed;
  }

  get count() {
    return this.columns * this.rows;
  }

  /** 0, 255 or 65536 bytes, row by row; not to be written to. */
  tile(index) {
    return this.#tiles.get(index) ?? 0;
  }

  /** The bytes of a tile, to write to; what they were is kept until `commit` or `rollback`. */
  writable(index) {
    const now = this.tile(index);
    this.#remember(index, now);
    if (typeof now !== "number") return now;
    const bytes = new Uint8Array(TILE * TILE).fill(now);
    this.#tiles.set(index, bytes);
    return bytes;
  }

  /** Put a whole tile: 0, 255 or bytes that belong to the mask from now on. */
  put(index, tile) {
    this.#remember(index, this.tile(index));
    this.#tiles.set(index, tile);
    this.changed(this.rectangleOf(index));
  }

  rectangleOf(index) {
    const x0 = (index % this.columns) * TILE, y0 = Math.floor(index / this.columns) * TILE;
    return { x0, y0, x1: Math.min(x0 + TILE, this.width), y1: Math.min(y0 + TILE, this.height) };
  }

  /** Call `paint(bytes, start, end, x)` for the pieces of row `y` from `x0` up to `x1`, tile by tile. */
  span(y, x0, x1, paint) {
    this.#pieces(y, x0, x1, (index, start, end, x) => paint(this.writable(index), start, end, x));
  }

  /** Row `y` from `x0` up to `x1` becomes `value`; a tile that has it already is left alone. */
  fillSpan(y, x0, x1, value) {
    this.#pieces(y, x0, x1, (index, start, end) => {
      if (this.tile(index) !== value) this.writable(index).fill(value, start, end);
    });
  }

  #pieces(y, x0, x1, visit) {
    if (y < 0 || y >= this.height) return;
    const row = Math.floor(y / TILE) * this.columns, offset = (y % TILE) * TILE, right = Math.min(this.width, x1);
    for (let x = Math.max(0, x0); x < right;) {
      const column = Math.floor(x / TILE), end = Math.min(right, (column + 1) * TILE);
      const start = offset + x - column * TILE;
      visit(row + column, start, start + end - x, x);
      x = end;
    }
  }

  /** Copy a window, clipped by the picture, into `into`; pixels outside of the picture are 0. */
  read(x, y, width, height, into = new Uint8Array(width * height)) {
    into.fill(0, 0, width * height);
    const right = Math.min(x + width, this.width), bottom = Math.min(y + height, this.height);
    for (let row = Math.max(y, 0); row < bottom; row++) {
      const first = Math.floor(row / TILE) * this.columns, offset = (row % TILE) * TILE;
      for (let at = Math.max(x, 0); at < right;) {
        const column = Math.floor(at / TILE), end = Math.min(right, (column + 1) * TILE);
        const tile = this.tile(first + column), target = (row - y) * width + at - x;
        if (typeof tile !== "number") {
          const start = offset + at - column * TILE;
          into.set(tile.subarray(start, start + end - at), target);
        } else if (tile) into.fill(tile, target, target + end - at);
        at = end;
      }
    }
    return into;
  }

  /** End a change. Returns the tiles that differ, as [index, before, now], or an empty list. */
  commit() {
    const differing = [];
    for (const [index, before] of this.#before) {
      let now = this.tile(index);
      if (typeof now !== "number") this.#tiles.set(index, now = solidOf(now));
      if (now === 0) this.#tiles.delete(index);
      if (!same(before, now)) differing.push([index, before, now]);
    }
    this.#before.clear();
    return differing;
  }

  /** Give up the change that is under way. */
  rollback() {
    let touched = null;
    for (const [index, before] of this.#before) {
      this.#tiles.set(index, before);
      this.#painted.delete(index);
      touched = union(touched, this.rectangleOf(index));
    }
    this.#before.clear();
    if (touched) this.changed(touched);
  }

  /** How many pixels are repainted: those of half strength and more, as the server reads them. */
  get painted() {
    let total = 0;
    for (const index of this.#tiles.keys()) {
      if (!this.#painted.has(index)) this.#painted.set(index, this.#paintedIn(index));
      total += this.#painted.get(index);
    }
    return total;
  }

  #paintedIn(index) {
    const tile = this.tile(index), { x0, y0, x1, y1 } = this.rectangleOf(index);
    const width = x1 - x0, height = y1 - y0;
    if (typeof tile === "number") return tile ? width * height : 0;
    let painted = 0;
    for (let y = 0; y < height; y++) {
      for (let i = y * TILE; i < y * TILE + width; i++) painted += tile[i] >> 7;
    }
    return painted;
  }

  #remember(index, now) {
    this.#painted.delete(index);
    if (!this.#before.has(index)) this.#before.set(index, typeof now === "number" ? now : now.slice());
  }
}

const same = (a, b) => {
  if (typeof a === "number" || typeof b === "number") return a === b;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
};
