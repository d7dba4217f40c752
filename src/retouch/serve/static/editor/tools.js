/** The tools that change the mask. Points are {x, y} in picture pixels. */

import { floodFill } from "./flood.js";
import { Lasso, Polygon, Rectangle } from "./outlines.js";
import { drawSegment } from "./strokes.js";

/** Brush and eraser. With `straight`, a line from where the last stroke ended. */
class Stroke {
  static last = new WeakMap();
  isBrush = true;
  #at = null;

  constructor(editor, erases) {
    this.editor = editor;
    this.erases = erases;
  }

  down(at, { erases, straight }) {
    this.erasing = erases || this.erases;
    this.#at = (straight && Stroke.last.get(this.editor.mask)) || at;
    this.move(at);
  }

  move(at) {
    drawSegment(this.editor.mask, this.#at, at, this.editor.brush, this.erasing);
    this.#at = at;
  }

  up() {
    Stroke.last.set(this.editor.mask, this.#at);
    this.editor.commit();
  }

  cancel() {
    this.editor.mask.rollback();
  }

  draw() {}
}

/** Fills what a line encloses. */
class Fill {
  constructor(editor) {
    this.editor = editor;
  }

  down({ x, y }, { erases }) {
    floodFill(this.editor.mask, Math.floor(x), Math.floor(y), erases);
    this.editor.commit();
  }

  move() {}
  up() {}
  cancel() {}
  draw() {}
}

export const makeTools = (editor) => ({
  brush: new Stroke(editor, false),
  eraser: new Stroke(editor, true),
  rectangle: new Rectangle(editor),
  lasso: new Lasso(editor),
  polygon: new Polygon(editor),
  fill: new Fill(editor),
});
