/** What a variant changed: a mask of the pixels that differ from the picture. */

import { TILE, TileMask } from "./tiles.js";

const FAINTEST = 90;  // of 255: one level of difference is seen, too

const breath = () => new Promise((resolve) => setTimeout(resolve));

/** Compare two bitmaps band by band, with the variant's corner at {x, y} of the picture. Returns a TileMask. */
export const changesBetween = async (before, after, { x, y }) => {
  const { width, height } = before, mask = new TileMask(width, height);
  const contexts = [before, after].map(() => {
    return new OffscreenCanvas(width, TILE).getContext("2d", { willReadFrequently: true });
  });
  for (let top = 0; top < height; top += TILE) {
    const rows = Math.min(TILE, height - top);
    contexts.forEach((context) => context.clearRect(0, 0, width, TILE));
    contexts[0].drawImage(before, 0, -top);
    contexts[1].drawImage(after, x, y - top);
    const [a, b] = contexts.map((context) => context.getImageData(0, 0, width, rows).data);
    compareBand(mask, a, b, top, rows);
    await breath();
  }
  mask.commit();
  return mask;
};

const compareBand = (mask, a, b, top, rows) => {
  const p = new Uint32Array(a.buffer), q = new Uint32Array(b.buffer);
  for (let row = 0; row < rows; row++) {
    for (let i = row * mask.width, x = 0; x < mask.width; i++, x++) {
      if (p[i] === q[i]) continue;
      let most = 0;
      for (let c = 4 * i; c < 4 * i + 4; c++) most = Math.max(most, Math.abs(a[c] - b[c]));
      mask.span(top + row, x, x + 1, (bytes, at) => { bytes[at] = Math.min(255, FAINTEST + 4 * most); });
    }
  }
};
