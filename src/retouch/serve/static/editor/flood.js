/** Fill inside: all that can be reached from a point without crossing the edge of what is painted. */

import { TILE } from "./tiles.js";

/** Rows of pixels that are connected with (x, y) and for which `inside` holds; marks them in `seen`. */
const spread = (seen, inside, width, height, x, y) => {
  const stack = [[x, y]];
  const open = (at) => !seen[at] && inside(at);
  while (stack.length) {
    const [px, py] = stack.pop(), row = py * width;
    if (!open(row + px)) continue;
    let left = px, right = px + 1;
    while (left > 0 && open(row + left - 1)) left--;
    while (right < width && open(row + right)) right++;
    seen.fill(1, row + left, row + right);
    for (const next of [py - 1, py + 1]) {
      if (next < 0 || next >= height) continue;
      for (let at = left; at < right; at++) {
        const here = next * width + at;
        if (open(here) && (at === left || !open(here - 1))) stack.push([at, next]);
      }
    }
  }
};

/** From the filled area up the soft rim, as long as it gets stronger: no pale ring stays behind. */
const climb = (seen, bytes, width) => {
  const isRim = (at) => bytes[at] >= 128 && bytes[at] < 255 && !seen[at];
  const beside = (at) => [at % width ? at - 1 : -1, (at + 1) % width ? at + 1 : -1, at - width, at + width];
  const isReached = (at) => beside(at).some((next) => seen[next] && bytes[next] <= bytes[at]);
  const queue = [];
  for (let at = 0; at < seen.length; at++) if (isRim(at) && isReached(at)) queue.push(at);
  while (queue.length) {
    const at = queue.pop();
    seen[at] = 1;
    for (const next of beside(at)) if (isRim(next) && bytes[next] >= bytes[at]) queue.push(next);
  }
};

/** Paint the unpainted area around (x, y), or with `erase` remove the painted area there. */
export const floodFill = (mask, x, y, erase) => {
  const { width, height } = mask;
  if (x < 0 || y < 0 || x >= width || y >= height) return;
  const bytes = mask.read(0, 0, width, height), seen = new Uint8Array(width * height);
  spread(seen, erase ? (at) => bytes[at] > 0 : (at) => bytes[at] < 128, width, height, x, y);
  if (!erase) climb(seen, bytes, width);
  for (let index = 0; index < mask.count; index++) {
    const { x0, y0, x1, y1 } = mask.rectangleOf(index);
    let tile = null;
    for (let row = y0; row < y1; row++) {
      for (let at = row * width + x0, to = (row - y0) * TILE; at < row * width + x1; at++, to++) {
        if (!seen[at]) continue;
        tile ??= mask.writable(index);
        tile[to] = erase ? 0 : 255;
      }
    }
    if (tile) mask.changed({ x0, y0, x1, y1 });
  }
};
