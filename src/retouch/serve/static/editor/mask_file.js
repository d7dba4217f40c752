/** Masks as files: saved as they are, loaded from any picture of the same size. */

import { greyPng } from "./png.js";
import { TILE } from "./tiles.js";

/** An error that the page can tell apart by its `code`. */
export const coded = (code, message) => Object.assign(new Error(message), { code });

const bandsOf = function* (mask, border) {
  const width = mask.width + border.left + border.right, height = mask.height + border.top + border.bottom;
  for (let y = 0; y < height; y += TILE) {
    const rows = Math.min(TILE, height - y), band = mask.read(-border.left, y - border.top, width, rows);
    for (let row = 0; row < rows; row++) {  // what lies outside of the picture is repainted
      const line = band.subarray(row * width, (row + 1) * width), inside = y + row - border.top;
      if (inside < 0 || inside >= mask.height) line.fill(255);
      line.fill(255, 0, border.left).fill(255, width - border.right);
    }
    yield band;
  }
};

/** The mask as a PNG; white is repainted. With a border, the border is white. */
export const saveMask = (mask, border = { left: 0, top: 0, right: 0, bottom: 0 }) => {
  const width = mask.width + border.left + border.right, height = mask.height + border.top + border.bottom;
  return greyPng(width, height, bandsOf(mask, border));
};

// Pillow's weights of luma in 16-bit fractions: grey stays exactly the same grey.
const luma = (d, i) => (d[i] * 19595 + d[i + 1] * 38470 + d[i + 2] * 7471 + 0x8000) >> 16;

const READINGS = {
  white: luma,
  black: (d, i) => 255 - luma(d, i),
  opaque: (d, i) => d[i + 3],
  transparent: (d, i) => 255 - d[i + 3],
};

/** Call `visit(rgba, top, rows)` for each row of tiles. */
const readInBands = (bitmap, visit) => {
  const canvas = new OffscreenCanvas(bitmap.width, Math.min(TILE, bitmap.height));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  for (let y = 0; y < bitmap.height; y += TILE) {
    const rows = Math.min(TILE, bitmap.height - y);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.drawImage(bitmap, 0, y, bitmap.width, rows, 0, 0, bitmap.width, rows);
    visit(context.getImageData(0, 0, bitmap.width, rows).data, y, rows);
  }
};

const isSeeThrough = (bitmap) => {
  let found = false;
  readInBands(bitmap, (data) => {
    for (let i = 3; i < data.length && !found; i += 4) found = data[i] < 255;
  });
  return found;
};

/** The tiles of a picture, as [index, bytes]. */
const tilesOf = (bitmap, value) => {
  const tiles = [], columns = Math.ceil(bitmap.width / TILE);
  readInBands(bitmap, (data, top, rows) => {
    for (let column = 0; column < columns; column++) {
      const tile = new Uint8Array(TILE * TILE), x0 = column * TILE, width = Math.min(TILE, bitmap.width - x0);
      for (let y = 0; y < rows; y++) {
        for (let x = 0; x < width; x++) tile[y * TILE + x] = value(data, 4 * (y * bitmap.width + x0 + x));
      }
      tiles.push([(top / TILE) * columns + column, tile]);
    }
  });
  return tiles;
};

/**
 * Read the picture in `blob` as a mask; returns the function that puts it into the mask. `polarity` names what is
 * repainted: white, black, transparent or opaque. Errors by code: `mask_unreadable`, `mask_size`, and `mask_alpha`
 * where a picture is see-through and nobody said how to read it.
 */
export const loadMask = async ({ width, height }, blob, polarity) => {
  const options = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
  const bitmap = await createImageBitmap(blob, options).catch(() => {
    throw coded("mask_unreadable", "the mask is not a picture that this browser can read");
  });
  try {
    if (bitmap.width !== width || bitmap.height !== height) {
      throw coded("mask_size", `the mask is ${bitmap.width}×${bitmap.height} pixels, the picture ${width}×${height}`);
    }
    if (!polarity && isSeeThrough(bitmap)) throw coded("mask_alpha", "the mask has transparent pixels");
    const tiles = tilesOf(bitmap, READINGS[polarity ?? "white"]);
    return (mask) => tiles.forEach(([index, bytes]) => mask.put(index, bytes));
  } finally {
    bitmap.close();
  }
};
