/** Changes of the whole mask; growing takes the largest value within a disc, only where an edge is nearby. */

import { TILE } from "./tiles.js";

export const LARGEST_GROWTH_PX = 128;

/** Whether the mask has one value in the whole window, seen by its tiles; that value or null. */
const uniform = (mask, x0, y0, x1, y1) => {
  let value = null;
  for (let row = Math.max(0, Math.floor(y0 / TILE)); row < Math.min(mask.rows, Math.ceil(y1 / TILE)); row++) {
    for (let column = Math.max(0, Math.floor(x0 / TILE)); column < Math.min(mask.columns, Math.ceil(x1 / TILE)); column++) {
      const tile = mask.tile(row * mask.columns + column);
      if (typeof tile !== "number" || (value !== null && value !== tile)) return null;
      value = tile;
    }
  }
  return value;
};

/** levels[k][i] = the largest of 2^k bytes from i on, along rows. */
const doubled = (bytes, longest) => {
  const levels = [bytes];
  for (let step = 1; step * 2 <= longest; step *= 2) {
    const last = levels.at(-1), next = new Uint8Array(bytes.length);
    for (let i = 0; i + step < bytes.length; i++) next[i] = last[i] > last[i + step] ? last[i] : last[i + step];
    levels.push(next);
  }
  return levels;
};

/** For each row: its smallest and its largest byte. */
const extremes = (bytes, side) => {
  const least = new Uint8Array(side).fill(255), most = new Uint8Array(side);
  for (let i = 0, row = 0; row < side; row++) {
    for (const end = i + side; i < end; i++) {
      if (bytes[i] < least[row]) least[row] = bytes[i];
      if (bytes[i] > most[row]) most[row] = bytes[i];
    }
  }
  return { least, most };
};

/** The window's bytes (TILE + 2 radius wide and high) to the tile's, each the largest within the disc. */
const largestWithin = (window, radius) => {
  const side = TILE + 2 * radius, out = new Uint8Array(TILE * TILE), levels = doubled(window, 2 * radius + 1);
  const { least, most } = extremes(window, side), isFull = new Uint8Array(TILE);
  for (let dy = -radius; dy <= radius; dy++) {
    const half = Math.floor(Math.sqrt(radius * radius - dy * dy)), width = 2 * half + 1;
    const level = Math.floor(Math.log2(width)), far = width - 2 ** level, bytes = levels[level];
    for (let y = 0; y < TILE; y++) {
      const row = y + dy + radius;
      if (most[row] === 0 || isFull[y]) continue;  // nothing to add
      if (least[row] === 255) {
        out.fill(255, y * TILE, (y + 1) * TILE);
        isFull[y] = 1;
        continue;
      }
      let from = row * side + radius - half;
      for (let i = y * TILE; i < (y + 1) * TILE; i++, from++) {
        const a = bytes[from], b = bytes[from + far], value = a > b ? a : b;
        if (value > out[i]) out[i] = value;
      }
    }
  }
  return out;
};

const inverted = (bytes) => bytes.map((value) => 255 - value);

/** Grow the mask by `px` on all sides, or shrink it (negative); the picture's border is no edge. */
export const growMask = (mask, px) => {
  const radius = Math.min(Math.abs(Math.round(px)), LARGEST_GROWTH_PX), shrinks = px < 0;
  if (!radius) return;
  const results = [];
  for (let index = 0; index < mask.count; index++) {
    const { x0, y0 } = mask.rectangleOf(index), side = TILE + 2 * radius;
    if (uniform(mask, x0 - radius, y0 - radius, x0 + TILE + radius, y0 + TILE + radius) !== null) continue;
    let window = mask.read(x0 - radius, y0 - radius, side, side);
    if (shrinks) {
      window = inverted(window);
      clearOutside(window, mask, x0 - radius, y0 - radius, side);
    }
    const grown = largestWithin(window, radius);
    results.push([index, shrinks ? inverted(grown) : grown]);
  }
  results.forEach(([index, bytes]) => mask.put(index, bytes));
};

const clearOutside = (window, mask, x, y, side) => {
  for (let row = 0; row < side; row++) {
    const outside = y + row < 0 || y + row >= mask.height;
    if (outside) window.fill(0, row * side, (row + 1) * side);
    else {
      window.fill(0, row * side, row * side + Math.max(0, -x));
      window.fill(0, row * side + Math.max(0, Math.min(side, mask.width - x)), (row + 1) * side);
    }
  }
};

/** What was kept is repainted, and the other way round. */
export const invertMask = (mask) => {
  for (let index = 0; index < mask.count; index++) {
    const tile = mask.tile(index);
    mask.put(index, typeof tile === "number" ? 255 - tile : inverted(tile));
  }
};

export const clearMask = (mask) => {
  for (let index = 0; index < mask.count; index++) if (mask.tile(index) !== 0) mask.put(index, 0);
};
