/** The editor: a picture and its mask on a canvas. What the page calls is here; each part has a module of its own. */

import { compose, Extend, NO_BORDER, outer } from "./border.js";
import { changesBetween } from "./changes.js";
import { Compare } from "./compare.js";
import { Crosshair } from "./crosshair.js";
import { History } from "./history.js";
import { Layers } from "./layers.js";
import { loadMask, saveMask } from "./mask_file.js";
import { growMask, invertMask } from "./morphology.js";
import { Picture } from "./picture.js";
import { PointerInput } from "./pointer.js";
import { Stage } from "./stage.js";
import { TileMask } from "./tiles.js";
import { makeTools } from "./tools.js";
import { View } from "./view.js";

const BRUSH_SHARE = 0.07;  // of the picture's shorter side, until the user chooses

export class Editor extends EventTarget {
  view = new View();
  picture = null;
  mask = new TileMask(1, 1);
  hovered = null;       // {x, y, erases} on the screen, or null
  changes = null;       // TileMask of what the variant changed
  isPanning = false;    // while the space bar is held
  #history = new History(this.mask);
  #tool = "brush";
  #brush = { size_px: 40, softness: 0 };
  #isBrushChosen = false;
  #border = NO_BORDER;
  #overlay = "mask";
  #spaceIsClick = false;

  constructor(host, { labels = {} } = {}) {
    super();
    this.host = host;
    host.tabIndex = 0;
    host.setAttribute("role", "application");
    host.setAttribute("aria-label", labels.editor ?? "Picture and mask");
    this.layers = new Layers(this);
    this.comparison = new Compare(host, labels.compare ?? "Before and after", () => this.#compared());
    this.stage = new Stage(host, this.layers.painters, (width, height) => this.view.resize(width, height));
    this.tools = { ...makeTools(this), extend: new Extend(this), pan: { cancel() {}, draw() {} } };
    this.crosshair = new Crosshair(this, host);
    this.pointer = new PointerInput(this, host);
  }

  // The picture

  async open(source) {
    const picture = await Picture.from(source);
    this.#show(picture);
    this.border = NO_BORDER;
    if (!this.#isBrushChosen) this.#setBrush({ size_px: Math.round(BRUSH_SHARE * Math.min(picture.width, picture.height)) });
    this.fit();
    this.#tell("open", "mask");
  }

  /** A result becomes the picture; the view stays where the size is the same. */
  async replace(source) {
    const before = this.size, picture = await Picture.from(source);
    this.#show(picture);
    this.border = NO_BORDER;
    if (before.width !== picture.width || before.height !== picture.height) this.fit();
    this.#tell("open", "mask");
  }

  close() {
    [this.pointer, this.crosshair, this.comparison, this.stage].forEach((part) => part.close());
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

  #show(picture) {
    this.pointer.cancel();
    this.picture?.close();
    this.picture = picture;
    this.mask = new TileMask(picture.width, picture.height, (rectangle) => this.layers.maskChanged(rectangle));
    this.#history = new History(this.mask);
    this.crosshair.hide();
    this.changes = null;
    this.comparison.set({});
    this.layers.reset();
    this.stage.drawAll();
  }

  // The mask

  undo() {
    this.pointer.cancel();
    if (this.#history.undo()) this.#tell("mask");
  }

  redo() {
    this.pointer.cancel();
    if (this.#history.redo()) this.#tell("mask");
  }

  clear() {
    this.#edit(() => {
      for (let index = 0; index < this.mask.count; index++) if (this.mask.tile(index) !== 0) this.mask.put(index, 0);
    });
  }

  invert() {
    this.#edit(() => invertMask(this.mask));
  }

  grow(px) {
    this.#edit(() => growMask(this.mask, px));
  }

  get canUndo() {
    return this.#history.canUndo;
  }

  get canRedo() {
    return this.#history.canRedo;
  }

  get isMaskEmpty() {
    return this.mask.painted === 0;
  }

  get coverage() {
    return this.mask.painted / (this.mask.width * this.mask.height);
  }

  /** `polarity`: white (default), black, transparent or opaque is repainted; errors by code in mask_file.js. */
  async loadMask(blob, polarity) {
    const { mask } = this;
    await loadMask(mask, blob, polarity);
    if (mask === this.mask) this.commit();
  }

  maskBlob() {
    return saveMask(this.mask);
  }

  /** End a change of the mask: it can be undone from now on. */
  commit() {
    if (this.#history.commit()) this.#tell("mask");
  }

  #edit(change) {
    this.pointer.cancel();
    change();
    this.commit();
  }

  // Tool and brush

  get tool() {
    return this.#tool;
  }

  set tool(name) {
    if (!(name in this.tools) || name === this.#tool) return;
    this.pointer.cancel();
    this.toolObject.cancel();
    this.#tool = name;
    this.redraw("marks");
    this.#tell("toolchange");
  }

  get toolObject() {
    return this.tools[this.#tool];
  }

  get brush() {
    return { ...this.#brush };
  }

  set brush(brush) {
    this.#isBrushChosen = true;
    this.#setBrush(brush);
    this.layers.showBrush();
  }

  #setBrush(brush) {
    const { size_px, softness } = { ...this.#brush, ...brush }, most = Math.max(this.size.width, this.size.height, 1);
    this.#brush = { size_px: Math.min(Math.max(1, size_px), most), softness: Math.min(Math.max(0, softness), 1) };
    this.redraw("marks");
    this.#tell("brush");
  }

  /** Give up a shape or stroke that is not finished. */
  cancel() {
    this.pointer.cancel();
    this.toolObject.cancel();
    this.redraw("marks");
  }

  /** The space bar: held it pans, pressed shortly it clicks at the crosshair. */
  holdSpace(isHeld, isLost = false) {
    if (isHeld && !this.isPanning) this.#spaceIsClick = document.activeElement === this.host;
    if (!isHeld && this.isPanning && this.#spaceIsClick && !isLost) this.crosshair.press();
    this.isPanning = isHeld;
    this.redraw("marks");
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
    this.#spaceIsClick = false;
    this.#look(() => this.view.pan(dx, dy));
  }

  fit() {
    this.#look(() => this.view.fit());
  }

  actualSize() {
    this.#look(() => this.view.setScale(1));
  }

  /** Device pixels a picture pixel takes. */
  get scale() {
    return this.view.scale;
  }

  #look(change) {
    if (!this.isOpen) return;
    change();
    this.stage.drawAll();
    this.#tell("view");
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
    this.#tell("border");
  }

  composedForOutpainting() {
    return compose(this.picture, this.mask, this.border);
  }

  get compare() {
    return { image: this.comparison.image, split: this.comparison.split };
  }

  set compare(compare) {
    const isNew = compare.image !== this.comparison.image;
    this.comparison.set(compare);
    if (isNew) this.changes = null;
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
    const { image } = this.comparison, { picture } = this;
    if (this.#overlay !== "changes" || !image || this.changes) return;
    const changes = await changesBetween(picture.bitmap, image, this.comparison.origin(this.size, this.border));
    if (image !== this.comparison.image || picture !== this.picture) return;
    this.changes = changes;
    this.stage.draw("mask");
    this.#tell("changes");
  }

  #compared() {
    this.stage.draw("picture");
    this.#tell("compare");
  }

  // Pointing

  /** The pointer is at {x, y} of the screen, or nowhere. */
  hover(at, erases = false) {
    this.crosshair.hide();
    this.hovered = at && { ...at, erases };
    if (at) this.toolObject.hover?.(this.view.toPicture(at.x, at.y));
    this.redraw("marks");
  }

  /** The crosshair is at {x, y} of the picture, or nowhere. */
  pointAt(at) {
    this.hovered = null;
    if (at) {
      (this.toolObject.isOpen ? this.toolObject.move : this.toolObject.hover)?.call(this.toolObject, at);
      if (this.view.reveal(at)) this.stage.drawAll();
    }
    this.redraw("marks");
  }

  redraw(layer) {
    this.stage.draw(layer);
  }

  #tell(...names) {
    names.forEach((name) => this.dispatchEvent(new Event(name)));
  }
}
