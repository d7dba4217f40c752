/** What the three canvases show: the picture and its variant, the mask or the changes, the marks of tools. */

import { checks, drawBrush, drawCrosshair, stripes } from "./marks.js";
import { MaskLayer } from "./mask_layer.js";

const MASK = ["rgb(225 29 92 / 58%)", "rgb(150 8 66 / 70%)"];
const CHANGES = ["rgb(0 168 150 / 62%)", "rgb(0 92 98 / 75%)"];
const PREVIEW_MS = 900;
const MARGIN_PX = 3;

export class Layers {
  #mask = null;
  #changes = null;
  #preview = 0;

  constructor(editor) {
    this.editor = editor;
    this.painters = {
      picture: (context) => this.#paintPicture(context),
      mask: (context, part) => this.#paintMask(context, part),
      marks: (context) => this.#paintMarks(context),
    };
  }

  /** Another picture, another mask. */
  reset() {
    this.#mask = new MaskLayer(this.editor.mask);
    this.#changes = null;
  }

  maskChanged(rectangle) {
    const { view, stage } = this.editor;
    this.#mask.changed(rectangle);
    const from = view.toScreen(rectangle.x0, rectangle.y0), to = view.toScreen(rectangle.x1, rectangle.y1);
    const edge = MARGIN_PX + 2 * Math.min(view.scale, MARGIN_PX);  // smoothing shows a pixel beyond its own place
    stage.drawPart({ x0: from.x - edge, y0: from.y - edge, x1: to.x + edge, y1: to.y + edge });
  }

  /** Show the brush's size for a moment, in the middle, where the pointer is elsewhere. */
  showBrush() {
    clearTimeout(this.#preview);
    this.#preview = setTimeout(() => {
      this.#preview = 0;
      this.editor.redraw("marks");
    }, PREVIEW_MS);
    this.editor.redraw("marks");
  }

  #paintPicture(context) {
    const { view, picture, comparison, size, border, stage } = this.editor;
    context.clearRect(0, 0, view.width, view.height);
    if (!picture) return;
    if (picture.isSeeThrough || Object.values(border).some(Boolean)) this.#paintChecks(context);
    picture.draw(context, view);
    comparison.draw(context, view, size, border, stage.ratio);
  }

  #paintChecks(context) {
    const { view, stage } = this.editor, { x0, y0, x1, y1 } = view.bounds;
    const from = view.toScreen(x0, y0), to = view.toScreen(x1, y1);
    context.fillStyle = this.#pattern(context, "checks", () => checks(context, stage.ratio));
    context.fillRect(from.x, from.y, to.x - from.x, to.y - from.y);
  }

  #paintMask(context, part) {
    const { view, overlay, changes, stage, picture } = this.editor;
    if (overlay === "changes" && changes) {
      if (this.#changes?.mask !== changes) this.#changes = new MaskLayer(changes);
      this.#changes.draw(context, view, this.#stripes(context, "changes", CHANGES, stage.ratio), part);
    } else if (overlay === "mask" && picture) {
      const pattern = this.#stripes(context, "mask", MASK, stage.ratio);
      this.#mask.draw(context, view, pattern, part);
      this.#paintBorder(context, pattern, part);
    } else context.clearRect(part.x0, part.y0, part.x1 - part.x0, part.y1 - part.y0);
  }

  /** The border will be repainted, so it looks like the mask. */
  #paintBorder(context, pattern, { x0, y0, x1, y1 }) {
    const { view, size } = this.editor, { bounds } = view;
    if (bounds.x0 === 0 && bounds.y0 === 0 && bounds.x1 === size.width && bounds.y1 === size.height) return;
    context.save();
    context.beginPath();
    context.rect(x0, y0, x1 - x0, y1 - y0);
    context.clip();
    context.beginPath();
    for (const box of [bounds, { x0: 0, y0: 0, x1: size.width, y1: size.height }]) {
      const from = view.toScreen(box.x0, box.y0), to = view.toScreen(box.x1, box.y1);
      context.rect(from.x, from.y, to.x - from.x, to.y - from.y);
    }
    context.fillStyle = pattern;
    context.fill("evenodd");
    context.restore();
  }

  #paintMarks(context) {
    const { editor } = this, { view, stage } = editor;
    context.clearRect(0, 0, view.width, view.height);
    if (!editor.isOpen) return;
    const { tool, toolObject, hovered, crosshair, brush, host } = editor;
    toolObject.draw(context, stage.ratio);
    const point = hovered ?? (crosshair.at && view.toScreen(crosshair.at.x, crosshair.at.y));
    const isRing = toolObject.isBrush && !editor.isPanning, options = { filled: this.#preview !== 0 };
    options.erases = toolObject.erases || (hovered?.erases ?? false);
    if (isRing && point) drawBrush(context, point, brush, view.scale, stage.ratio, options);
    else if (this.#preview && toolObject.isBrush) {
      drawBrush(context, { x: view.width / 2, y: view.height / 2 }, brush, view.scale, stage.ratio, options);
    }
    if (crosshair.at) drawCrosshair(context, point, stage.ratio);
    host.style.cursor = this.#cursor(tool, toolObject, hovered);
  }

  #cursor(tool, toolObject, hovered) {
    const { editor } = this;
    if (editor.isPanning || tool === "pan") return editor.pointer.isBusy ? "grabbing" : "grab";
    if (toolObject.isBrush) return "none";
    if (toolObject.cursorAt) return hovered ? toolObject.cursorAt(editor.view.toPicture(hovered.x, hovered.y)) : "default";
    return "crosshair";
  }

  #patterns = new Map();

  #pattern(context, name, make) {
    const key = `${name} ${this.editor.stage.ratio}`;
    if (!this.#patterns.has(key)) this.#patterns.set(key, make());
    return this.#patterns.get(key);
  }

  /** Stripes that move with the picture. */
  #stripes(context, name, colours, ratio) {
    const pattern = this.#pattern(context, name, () => stripes(context, ...colours, ratio)), { view } = this.editor;
    pattern.setTransform(new DOMMatrix([1, 0, 0, 1, Math.round(view.x), Math.round(view.y)]));
    return pattern;
  }
}
