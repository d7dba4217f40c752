/** The viewer: a picture on the screen, with its border, a variant over it and what the variant changed. */

import { compose, NO_BORDER, outer } from "./border.js";
import { changesBetween } from "./changes.js";
import { Compare } from "./compare.js";
import { Layers } from "./layers.js";
import { Picture } from "./picture.js";
import { Stage } from "./stage.js";
import { View } from "./view.js";

export class Viewer extends EventTarget {
  view = new View();
  picture = null;
  changes = null;  // TileMask of what the variant changed
  #border = NO_BORDER;
  #overlay = "mask";

  constructor(host, labels) {
    super();
    this.host = host;
    host.tabIndex = 0;
    host.setAttribute("role", "application");
    host.setAttribute("aria-label", labels.editor ?? "Picture and mask");
    this.layers = new Layers(this);
    this.comparison = new Compare(host, labels.compare ?? "Before and after", () => this.#compared());
    this.stage = new Stage(host, this.layers.painters, (width, height) => this.view.resize(width, height));
  }

  /** Read and show a picture in full. Error by code: `picture_unreadable`. */
  async open(source) {
    const picture = await Picture.from(source);
    this.show(picture);
    this.fit();
    this.tell("open", "mask");
  }

  /** A result becomes the picture; the view stays where the size is the same. */
  async replace(source) {
    const before = this.size, picture = await Picture.from(source);
    this.show(picture);
    if (before.width !== picture.width || before.height !== picture.height) this.fit();
    this.tell("open", "mask");
  }

  show(picture) {
    this.picture?.close();
    this.picture = picture;
    this.changes = null;
    this.comparison.set({});
    this.border = NO_BORDER;
    this.stage.drawAll();
  }

  close() {
    this.comparison.close();
    this.stage.close();
    this.picture?.close();
    this.picture = null;
  }

  get isOpen() {
    return this.picture !== null;
  }

  get size() {
    return { width: this.picture?.width ?? 0, height: this.picture?.height ?? 0 };
  }

  get original() {
    return this.picture?.original ?? null;
  }

  // The view

  /** Zoom; (x, y) in CSS pixels of the host stay where they are, by default its middle. */
  zoom(factor, x = this.host.clientWidth / 2, y = this.host.clientHeight / 2) {
    this.zoomAt(factor, { x: x * this.stage.ratio, y: y * this.stage.ratio });
  }

  zoomAt(factor, { x, y }) {
    this.#look(() => this.view.zoom(factor, x, y));
  }

  pan(dx, dy) {
    this.#look(() => this.view.pan(dx, dy));
  }

  fit() {
    this.#look(() => this.view.fit());
  }

  actualSize() {
    this.#look(() => this.view.setScale(1));
  }

  /** Scroll as far as needed to show a point of the picture. */
  reveal(at) {
    if (this.view.reveal(at)) this.#look(() => {});
  }

  /** Device pixels that a pixel of the picture takes. */
  get scale() {
    return this.view.scale;
  }

  #look(change) {
    if (!this.isOpen) return;
    change();
    this.stage.drawAll();
    this.tell("view");
  }

  // Border, comparison, overlay

  get border() {
    return { ...this.#border };
  }

  set border(border) {
    const most = Math.max(this.size.width, this.size.height);
    const sides = Object.keys(NO_BORDER).map((side) => [side, Math.round(Math.min(Math.max(0, border[side] ?? 0), most))]);
    this.#border = Object.fromEntries(sides);
    if (this.isOpen) this.view.bounds = outer(this.size, this.#border);
    this.stage.drawAll();
    this.tell("border");
  }

  composedForOutpainting() {
    return compose(this.picture, this.mask, this.border);
  }

  get compare() {
    return { image: this.comparison.image, split: this.comparison.split };
  }

  set compare(compare) {
    const before = this.comparison.image;
    this.comparison.set(compare);
    if (this.comparison.image !== before) this.changes = null;
    this.stage.drawAll();
    this.#findChanges();
  }

  get overlay() {
    return this.#overlay;
  }

  set overlay(overlay) {
    this.#overlay = overlay;
    this.stage.draw("mask");
    this.#findChanges();
  }

  async #findChanges() {
    const { picture, comparison: { image } } = this;
    if (this.#overlay !== "changes" || !image || this.changes) return;
    const changes = await changesBetween(picture.bitmap, image, this.comparison.origin(this.size, this.border));
    if (image !== this.comparison.image || picture !== this.picture) return;
    this.changes = changes;
    this.stage.draw("mask");
    this.tell("changes");
  }

  #compared() {
    this.stage.draw("picture");
    this.tell("compare");
  }

  /** Dispatch events. */
  tell(...names) {
    names.forEach((name) => this.dispatchEvent(new Event(name)));
  }
}
