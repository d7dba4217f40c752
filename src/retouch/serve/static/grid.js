// The sheet: the picture, its mask and the variants in one, with their seeds.

import { blobOf, thumbnail } from "./dom.js";
import { texts } from "./texts.js";

const SIDE_PX = 512;
const GAP_PX = 12;
const LINE_PX = 28;

/** Return a PNG of everything side by side, in rows of four. */
export async function drawGrid({ before, mask, variants, prompt }) {
  const tiles = [
    { source: before, text: texts.output.grid.before },
    { source: mask, text: texts.output.grid.mask },
    ...variants.map(({ blob, seed }) => ({ source: blob, text: texts.variants.seed(seed) })),
  ];
  const drawn = await Promise.all(tiles.map(async ({ source, text }) => ({ canvas: await small(source), text })));
  const width = Math.max(...drawn.map(({ canvas }) => canvas.width));
  const height = Math.max(...drawn.map(({ canvas }) => canvas.height)) + LINE_PX;
  const columns = Math.min(4, drawn.length);
  const rows = Math.ceil(drawn.length / columns);
  const sheet = document.createElement("canvas");
  sheet.width = columns * (width + GAP_PX) + GAP_PX;
  sheet.height = rows * (height + GAP_PX) + GAP_PX + LINE_PX;
  const context = sheet.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, sheet.width, sheet.height);
  context.fillStyle = "#1c1b22";
  context.font = "16px system-ui, sans-serif";
  context.fillText(prompt, GAP_PX, GAP_PX + 16, sheet.width - 2 * GAP_PX);
  for (const [index, { canvas, text }] of drawn.entries()) {
    const left = GAP_PX + (index % columns) * (width + GAP_PX);
    const top = GAP_PX + LINE_PX + Math.floor(index / columns) * (height + GAP_PX);
    context.drawImage(canvas, left, top);
    context.fillText(text, left, top + canvas.height + 20, width);
  }
  return blobOf(sheet);
}

function small(source) {
  return thumbnail(source, SIDE_PX / Math.min(window.devicePixelRatio || 1, 2));
}
