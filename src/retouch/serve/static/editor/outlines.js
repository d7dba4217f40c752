/** Tools that draw an outline and fill it. Points are {x, y} in picture pixels. */

import { drawOutline } from "./marks.js";
import { fillPolygon, fillRectangle } from "./shapes.js";

const CLOSES_WITHIN_PX = 12;  // of the first corner, on the screen
const SAME_WITHIN_PX = 3;     // of the last one
const onScreen = (editor, points) => points.map(({ x, y }) => editor.view.toScreen(x, y));

/** Pulled from corner to corner. */
export class Rectangle {
  isDragged = true;
  #from = null;
  #to = null;

  constructor(editor) {
    this.editor = editor;
  }

  get isOpen() {
    return this.#from !== null;
  }

  down(at, { erases }) {
    this.value = erases ? 0 : 255;
    this.#from = this.#to = at;
  }

  move(at) {
    this.#to = at;
  }

  up(at) {
    if (!this.isOpen) return;
    fillRectangle(this.editor.mask, this.#from, at, this.value);
    this.cancel();
    this.editor.commit();
  }

  cancel() {
    this.#from = this.#to = null;
  }

  draw(context, ratio) {
    if (!this.isOpen) return;
    const [a, b] = onScreen(this.editor, [this.#from, this.#to]);
    drawOutline(context, [a, { x: b.x, y: a.y }, b, { x: a.x, y: b.y }], ratio, { closed: true });
  }
}

/** Drawn around something with one line. */
export class Lasso {
  isDragged = true;
  #points = [];

  constructor(editor) {
    this.editor = editor;
  }

  get isOpen() {
    return this.#points.length > 0;
  }

  down(at, { erases }) {
    this.value = erases ? 0 : 255;
    this.#points = [at];
  }

  move(at) {
    this.#points.push(at);
  }

  up() {
    if (this.#points.length > 2) fillPolygon(this.editor.mask, this.#points, this.value);
    this.cancel();
    this.editor.commit();
  }

  cancel() {
    this.#points = [];
  }

  draw(context, ratio) {
    if (this.isOpen) drawOutline(context, onScreen(this.editor, this.#points), ratio, { closed: true });
  }
}

/** Corner by corner; closed at the first corner, by a double click, or by setting the last corner twice. */
export class Polygon {
  #points = [];
  #hover = null;

  constructor(editor) {
    this.editor = editor;
  }

  get isOpen() {
    return this.#points.length > 0;
  }

  down(at, { erases }) {
    if (!this.isOpen) this.value = erases ? 0 : 255;
    this.#hover = at;
    const isClosing = this.#isNear(this.#points[0], at, CLOSES_WITHIN_PX);
    if (isClosing || this.#isNear(this.#points.at(-1), at, SAME_WITHIN_PX)) this.#close();
    else this.#points.push(at);
  }

  move(at) {
    this.#hover = at;
  }

  hover(at) {
    this.#hover = at;
  }

  up() {}

  /** Take the last corner back. */
  stepBack() {
    this.#points.pop();
  }

  cancel() {
    this.#points = [];
  }

  draw(context, ratio) {
    if (!this.isOpen) return;
    const points = this.#hover ? [...this.#points, this.#hover] : this.#points;
    drawOutline(context, onScreen(this.editor, points), ratio, { knob: true });
  }

  #isNear(corner, at, within_px) {
    if (!corner || this.#points.length < 3) return false;
    const distance = Math.hypot(corner.x - at.x, corner.y - at.y) * this.editor.view.scale;
    return distance <= within_px * this.editor.stage.ratio;
  }

  #close() {
    fillPolygon(this.editor.mask, this.#points, this.value);
    this.cancel();
    this.editor.commit();
  }
}
