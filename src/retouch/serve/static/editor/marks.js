/** Marks on the screen that are seen on any picture: light lines upon dark ones. */

/** Stroke the context's path twice. */
export const strokeTwice = (context, ratio, dash = []) => {
  context.lineJoin = "round";
  context.setLineDash([]);
  context.lineWidth = 3 * ratio;
  context.strokeStyle = "rgb(0 0 0 / 55%)";
  context.stroke();
  context.setLineDash(dash.map((length) => length * ratio));
  context.lineWidth = 1.5 * ratio;
  context.strokeStyle = "#fff";
  context.stroke();
  context.setLineDash([]);
};

/** The brush's ring at a point of the screen; the soft rim begins at the inner one. */
export const drawBrush = (context, { x, y }, brush, scale, ratio, { filled = false, erases = false } = {}) => {
  const radius = Math.max((brush.size_px / 2) * scale, 1.5 * ratio), inner = radius * (1 - brush.softness);
  if (filled) {
    const shade = context.createRadialGradient(x, y, Math.min(inner, radius - 0.5), x, y, radius);
    shade.addColorStop(0, erases ? "rgb(255 255 255 / 60%)" : "rgb(225 29 92 / 55%)");
    shade.addColorStop(1, erases ? "rgb(255 255 255 / 0%)" : "rgb(225 29 92 / 0%)");
    context.fillStyle = shade;
    context.fillRect(x - radius, y - radius, 2 * radius, 2 * radius);
  }
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  strokeTwice(context, ratio);
  if (brush.softness > 0 && inner > 2 * ratio) {
    context.beginPath();
    context.arc(x, y, inner, 0, 2 * Math.PI);
    strokeTwice(context, ratio * 0.6, [4, 4]);
  }
  if (erases) {  // a small bar tells the eraser from the brush
    context.beginPath();
    context.moveTo(x - 4 * ratio, y);
    context.lineTo(x + 4 * ratio, y);
    strokeTwice(context, ratio);
  }
};

export const drawCrosshair = (context, { x, y }, ratio) => {
  const gap = 5 * ratio, arm = 18 * ratio;
  context.beginPath();
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    context.moveTo(x + dx * gap, y + dy * gap);
    context.lineTo(x + dx * arm, y + dy * arm);
  }
  strokeTwice(context, ratio);
};

/** A line through points of the screen, with a knob at the first where it can be closed. */
export const drawOutline = (context, points, ratio, { closed = false, knob = false } = {}) => {
  context.beginPath();
  points.forEach(({ x, y }, i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
  if (closed) context.closePath();
  strokeTwice(context, ratio, [6, 4]);
  if (!knob || !points.length) return;
  context.beginPath();
  context.arc(points[0].x, points[0].y, 5 * ratio, 0, 2 * Math.PI);
  context.fillStyle = "rgb(225 29 92)";
  context.fill();
  strokeTwice(context, ratio);
};

/** Diagonal stripes of two colours, to fill with. */
export const stripes = (context, ground, stripe, ratio) => {
  const side = Math.round(10 * ratio), tile = new OffscreenCanvas(side, side), draw = tile.getContext("2d");
  draw.fillStyle = ground;
  draw.fillRect(0, 0, side, side);
  draw.strokeStyle = stripe;
  draw.lineWidth = side * 0.22;
  for (const shift of [-side, 0, side]) {
    draw.beginPath();
    draw.moveTo(shift - side * 0.25, side * 1.25);
    draw.lineTo(shift + side * 1.25, -side * 0.25);
    draw.stroke();
  }
  return context.createPattern(tile, "repeat");
};

/** The grey squares behind what is see-through. */
export const checks = (context, ratio) => {
  const side = Math.round(8 * ratio), tile = new OffscreenCanvas(2 * side, 2 * side), draw = tile.getContext("2d");
  draw.fillStyle = "#c9c9ce";
  draw.fillRect(0, 0, 2 * side, 2 * side);
  draw.fillStyle = "#f4f4f6";
  draw.fillRect(0, 0, side, side);
  draw.fillRect(side, side, side, side);
  return context.createPattern(tile, "repeat");
};
