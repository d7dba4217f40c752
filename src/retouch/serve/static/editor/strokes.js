/** Strokes: the round brush, drawn from point to point at full resolution. */

const SMALLEST_RADIUS = Math.SQRT1_2;  // from anywhere, the centre of a pixel is nearer than this

/** Where row `y` crosses all that lies within `radius` of the segment a-b: [left, right], or null. */
const crossing = (a, b, radius, y) => {
  let left = Infinity, right = -Infinity;
  const take = (from, to = from) => {
    left = Math.min(left, from);
    right = Math.max(right, to);
  };
  for (const end of [a, b]) {
    const square = radius * radius - (y - end.y) ** 2;
    if (square >= 0) take(end.x - Math.sqrt(square), end.x + Math.sqrt(square));
  }
  const length = Math.hypot(b.x - a.x, b.y - a.y);
  if (length > 0) {
    const nx = (-(b.y - a.y) / length) * radius, ny = ((b.x - a.x) / length) * radius;
    for (const side of [1, -1]) {  // the long sides of the band
      const y0 = a.y + side * ny, y1 = b.y + side * ny;
      if ((y0 - y) * (y1 - y) < 0) take(a.x + side * nx + ((y - y0) / (y1 - y0)) * (b.x - a.x));
    }
  }
  return left <= right ? [left, right] : null;
};

const pixels = ([left, right]) => [Math.ceil(left - 0.5), Math.floor(right - 0.5) + 1];

/** Strength 0..255 at each 256th of the soft rim. */
const FALLOFF = Uint8Array.from({ length: 257 }, (_, i) => Math.round(255 * (1 - (i / 256) ** 2 * (3 - i / 128))));

const softly = (a, b, inner, outer, y, erase) => {
  const dx = b.x - a.x, dy = b.y - a.y, square = dx * dx + dy * dy || 1, steps = 256 / (outer - inner);
  return (bytes, start, end, x) => {
    for (let i = start, px = x + 0.5 - a.x, py = y - a.y; i < end; i++, px++) {
      let along = (px * dx + py * dy) / square;
      along = along < 0 ? 0 : along > 1 ? 1 : along;
      const ex = px - along * dx, ey = py - along * dy, distance = Math.sqrt(ex * ex + ey * ey);
      if (distance >= outer) continue;
      const value = distance <= inner ? 255 : FALLOFF[((distance - inner) * steps) | 0];
      if (erase ? 255 - value < bytes[i] : value > bytes[i]) bytes[i] = erase ? 255 - value : value;
    }
  };
};

/**
 * Draw from `a` to `b` ({x, y}, picture pixels). Painting keeps the larger strength and erasing the smaller, so that
 * passing twice does no more than passing once. With softness 0 the edge is hard: what is painted is repainted.
 */
export const drawSegment = (mask, a, b, { size_px, softness }, erase) => {
  const outer = Math.max(size_px / 2, SMALLEST_RADIUS), inner = outer * (1 - softness);
  const top = Math.max(0, Math.floor(Math.min(a.y, b.y) - outer));
  const bottom = Math.min(mask.height, Math.ceil(Math.max(a.y, b.y) + outer));
  for (let row = top; row < bottom; row++) {
    const y = row + 0.5, whole = crossing(a, b, outer, y);
    if (!whole) continue;
    const [x0, x1] = pixels(whole);
    const core = inner > 0 ? crossing(a, b, inner, y) : null;
    if (softness === 0 || !core) {
      if (softness === 0) mask.fillSpan(row, x0, x1, erase ? 0 : 255);
      else mask.span(row, x0, x1, softly(a, b, inner, outer, y, erase));
      continue;
    }
    const [c0, c1] = pixels(core), soft = softly(a, b, inner, outer, y, erase);
    mask.span(row, x0, c0, soft);
    mask.fillSpan(row, c0, c1, erase ? 0 : 255);
    mask.span(row, c1, x1, soft);
  }
  const left = Math.floor(Math.min(a.x, b.x) - outer), right = Math.ceil(Math.max(a.x, b.x) + outer);
  mask.changed({ x0: Math.max(0, left), y0: top, x1: Math.min(mask.width, right), y1: bottom });
};
