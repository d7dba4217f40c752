/** Shapes that are filled at once: rectangles, and polygons of any number of corners. */

/** Fill the rectangle between two points ({x, y}, picture pixels) with `value`. */
export const fillRectangle = (mask, a, b, value) => {
  const x0 = Math.max(0, Math.round(Math.min(a.x, b.x))), x1 = Math.min(mask.width, Math.round(Math.max(a.x, b.x)));
  const y0 = Math.max(0, Math.round(Math.min(a.y, b.y))), y1 = Math.min(mask.height, Math.round(Math.max(a.y, b.y)));
  for (let y = y0; y < y1; y++) mask.fillSpan(y, x0, x1, value);
  mask.changed({ x0, y0, x1, y1 });
};

/** For each row, where edges cross its middle: [x, direction], from left to right. */
const crossings = (points, top, bottom) => {
  const rows = Array.from({ length: Math.max(0, bottom - top) }, () => []);
  points.forEach((a, i) => {
    const b = points[(i + 1) % points.length];
    const [up, down, direction] = a.y < b.y ? [a, b, 1] : [b, a, -1];
    const first = Math.max(top, Math.ceil(up.y - 0.5)), last = Math.min(bottom, Math.ceil(down.y - 0.5));
    const slope = (down.x - up.x) / (down.y - up.y);
    for (let y = first; y < last; y++) rows[y - top].push([up.x + (y + 0.5 - up.y) * slope, direction]);
  });
  rows.forEach((row) => row.sort((a, b) => a[0] - b[0]));
  return rows;
};

/** Fill a polygon with `value`; a lasso that crosses itself has no holes (non-zero winding). */
export const fillPolygon = (mask, points, value) => {
  const ys = points.map((p) => p.y), xs = points.map((p) => p.x);
  const least = (list) => list.reduce((a, b) => Math.min(a, b)), most = (list) => list.reduce((a, b) => Math.max(a, b));
  const top = Math.max(0, Math.floor(least(ys))), bottom = Math.min(mask.height, Math.ceil(most(ys)));
  crossings(points, top, bottom).forEach((row, i) => {
    let winding = 0, from = 0;
    for (const [x, direction] of row) {
      if (winding === 0) from = x;
      winding += direction;
      if (winding === 0) mask.fillSpan(top + i, Math.ceil(from - 0.5), Math.ceil(x - 0.5), value);
    }
  });
  const x0 = Math.max(0, Math.floor(least(xs))), x1 = Math.min(mask.width, Math.ceil(most(xs)));
  mask.changed({ x0, y0: top, x1, y1: bottom });
};
