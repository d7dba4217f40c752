/** The mask on the screen: small canvases for its tiles, at full size and halved, drawn again only where it changed. */

import { TILE } from "./tiles.js";

const LEVELS = 4;  // 1/1, 1/2, 1/4, 1/8: less than that is left to the browser

/** The rectangle around rectangles [x, y, width, height]. */
const enclosing = (boxes) => {
  const x = Math.min(...boxes.map(([left]) => left)), y = Math.min(...boxes.map(([, top]) => top));
  const right = Math.max(...boxes.map(([left, , width]) => left + width));
  const bottom = Math.max(...boxes.map(([, top, , height]) => top + height));
  return [x, y, right - x, bottom - y];
};

export class MaskLayer {
  #levels = Array.from({ length: LEVELS }, () => new Map());
  #pixels = new ImageData(TILE, TILE);

  constructor(mask) {
    this.mask = mask;
  }

  /** The rectangle {x0, y0, x1, y1} of the mask is not what it was. */
  changed({ x0, y0, x1, y1 }) {
    this.#levels.forEach((tiles, level) => {
      const side = TILE << level;
      for (let row = Math.floor(y0 / side); row < Math.ceil(y1 / side); row++) {
        for (let column = Math.floor(x0 / side); column < Math.ceil(x1 / side); column++) {
          const stale = tiles.get(`${column},${row}`)?.stale;
          if (!stale) continue;
          stale.x0 = Math.min(stale.x0, x0);
          stale.y0 = Math.min(stale.y0, y0);
          stale.x1 = Math.max(stale.x1, x1);
          stale.y1 = Math.max(stale.y1, y1);
        }
      }
    });
  }

  /** Draw the mask, in `paint` (a colour or pattern), into a part {x0, y0, x1, y1} of the screen. */
  draw(context, view, paint, part) {
    const { x0, y0, x1, y1 } = part;
    context.save();
    context.beginPath();
    context.rect(x0, y0, x1 - x0, y1 - y0);
    context.clip();
    context.clearRect(x0, y0, x1 - x0, y1 - y0);
    context.imageSmoothingEnabled = view.scale < 3;
    const level = Math.min(LEVELS - 1, Math.max(0, Math.floor(Math.log2(1 / view.scale)))), side = TILE << level;
    const a = view.toPicture(x0, y0), b = view.toPicture(x1, y1);
    const right = Math.min(this.mask.width, b.x), bottom = Math.min(this.mask.height, b.y);
    const boxes = [];
    for (let row = Math.floor(Math.max(0, a.y) / side); row * side < bottom; row++) {
      for (let column = Math.floor(Math.max(0, a.x) / side); column * side < right; column++) {
        const box = this.#drawTile(context, view, level, column, row);
        if (box) boxes.push(box);
      }
    }
    context.globalCompositeOperation = "source-in";
    context.imageSmoothingEnabled = false;
    context.fillStyle = paint;
    if (boxes.length) context.fillRect(...enclosing(boxes));
    context.restore();
  }

  /** Draw one tile; returns where, [x, y, width, height], or null where nothing is painted. */
  #drawTile(context, view, level, column, row) {
    const tile = this.#fresh(level, column, row), side = TILE << level;
    if (tile.solid === 0) return null;
    const x = column * side, y = row * side;
    const width = Math.min(side, this.mask.width - x), height = Math.min(side, this.mask.height - y);
    const from = view.toScreen(x, y), to = view.toScreen(x + width, y + height);
    // Whole screen pixels: neighbours meet without a seam.
    const x0 = Math.round(from.x), y0 = Math.round(from.y), w = Math.round(to.x) - x0, h = Math.round(to.y) - y0;
    if (tile.solid) context.fillRect(x0, y0, w, h);
    else if (w && h) context.drawImage(tile.canvas, 0, 0, width / 2 ** level, height / 2 ** level, x0, y0, w, h);
    return [x0, y0, w, h];
  }

  #fresh(level, column, row) {
    const tiles = this.#levels[level], key = `${column},${row}`, side = TILE << level;
    let tile = tiles.get(key);
    if (!tile) {
      tile = { solid: 0, canvas: null, stale: { x0: column * side, y0: row * side, x1: (column + 1) * side, y1: (row + 1) * side } };
      tiles.set(key, tile);
    }
    if (tile.stale.x0 < tile.stale.x1) this.#refresh(tile, level, column, row);
    return tile;
  }

  #refresh(tile, level, column, row) {
    const side = TILE << level, left = column * side, top = row * side, { stale } = tile;
    let region = {
      x0: Math.max(0, (stale.x0 - left) >> level), y0: Math.max(0, (stale.y0 - top) >> level),
      x1: Math.min(TILE, ((stale.x1 - left - 1) >> level) + 1), y1: Math.min(TILE, ((stale.y1 - top - 1) >> level) + 1),
    };
    tile.stale = { x0: Infinity, y0: Infinity, x1: -Infinity, y1: -Infinity };
    const solid = this.#solid(left, top, side);
    if (solid !== null) {
      tile.solid = solid;
      tile.canvas = null;
      return;
    }
    if (!tile.canvas) {
      tile.canvas = new OffscreenCanvas(TILE, TILE);
      region = { x0: 0, y0: 0, x1: TILE, y1: TILE };
    }
    tile.solid = null;
    this.#paint(tile.canvas.getContext("2d"), region, left, top, level);
  }

  /** Every texel is the largest value of the pixels that it stands for: thin strokes stay visible. */
  #paint(context, { x0, y0, x1, y1 }, left, top, level) {
    const block = 1 << level, width = (x1 - x0) * block, height = (y1 - y0) * block;
    const bytes = this.mask.read(left + x0 * block, top + y0 * block, width, height), { data } = this.#pixels;
    for (let y = y0; y < y1; y++) {
      for (let x = x0; x < x1; x++) {
        let value = 0;
        for (let v = 0; v < block; v++) {
          const start = ((y - y0) * block + v) * width + (x - x0) * block;
          for (let i = start; i < start + block; i++) if (bytes[i] > value) value = bytes[i];
        }
        data[4 * (y * TILE + x) + 3] = value;
      }
    }
    context.putImageData(this.#pixels, 0, 0, x0, y0, x1 - x0, y1 - y0);
  }

  #solid(left, top, side) {
    const { mask } = this;
    let value = null;
    for (let y = top; y < Math.min(top + side, mask.height); y += TILE) {
      for (let x = left; x < Math.min(left + side, mask.width); x += TILE) {
        const tile = mask.tile((y / TILE) * mask.columns + x / TILE);
        if (typeof tile !== "number" || (value !== null && tile !== value)) return null;
        value = tile;
      }
    }
    return value;
  }
}
