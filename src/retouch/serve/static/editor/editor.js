/** The editor: a picture, its mask, and the tools that paint it. What the page calls is here and in viewer.js. */

import { Extend } from "./border.js";
import { Crosshair } from "./crosshair.js";
import { History } from "./history.js";
import { loadMask, saveMask } from "./mask_file.js";
import { clearMask, growMask, invertMask } from "./morphology.js";
import { PointerInput } from "./pointer.js";
import { TileMask } from "./tiles.js";
import { makeTools } from "./tools.js";
import { Viewer } from "./viewer.js";

const BRUSH_SHARE = 0.07;  // of the picture's shorter side, until the user chooses

/**
 * Events: `open`, `mask` (after each change of it), `view`, `brush`, `border`, `toolchange`, `compare` (the user
 * moved its line) and `changes` (what a variant changed is found).
 */
export class Editor extends Viewer {
  mask = new TileMask(1, 1);
  hovered = null;     // {x, y, erases} on the screen, or null
  isPanning = false;  // while the space bar is held
  #history = new History(this.mask);
  #tool = "brush";
  #brush = { size_px: 40, softness: 0 };
  #isBrushChosen = false;
  #isSpaceClick = false;

  /** Fill `host`. `labels`: {editor, compare}: names for screen readers; position(x, y): words for the crosshair. */
  constructor(host, { labels = {} } = {}) {
    super(host, labels);
    this.tools = { ...makeTools(this), extend: new Extend(this), pan: { cancel() {}, draw() {} } };
    this.crosshair = new Crosshair(this, host, labels.position);
    this.pointer = new PointerInput(this, host);
  }

  show(picture) {
    this.cancel();
    this.mask = new TileMask(picture.width, picture.height, (rectangle) => this.layers.maskChanged(rectangle));
    this.#history = new History(this.mask);
    this.crosshair.hide();
    this.layers.reset();
    super.show(picture);
    const size_px = Math.round(BRUSH_SHARE * Math.min(picture.width, picture.height));
    this.#setBrush(this.#isBrushChosen ? {} : { size_px });
  }

  close() {
    this.pointer.close();
    this.crosshair.close();
    super.close();
  }

  // The mask

  /** Take the last change back; of a polygon that is not closed yet, the last corner. */
  undo() {
    this.pointer.cancel();
    if (this.toolObject.isOpen) this.toolObject.stepBack?.();
    else if (this.#history.undo()) this.tell("mask");
    this.redraw("marks");
  }

  redo() {
    this.pointer.cancel();
    if (this.#history.redo()) this.tell("mask");
  }

  clear() {
    this.#edit(clearMask);
  }

  invert() {
    this.#edit(invertMask);
  }

  grow(px) {
    this.#edit((mask) => growMask(mask, px));
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
    const { mask } = this, put = await loadMask(mask, blob, polarity);
    if (mask === this.mask) this.#edit(put);
  }

  maskBlob() {
    return saveMask(this.mask);
  }

  /** End a change of the mask: from now on it can be undone. */
  commit() {
    if (this.#history.commit()) this.tell("mask");
  }

  #edit(change) {
    if (!this.isOpen) return;
    this.cancel();
    change(this.mask);
    this.commit();
  }

  // Tool and brush

  get tool() {
    return this.#tool;
  }

  set tool(name) {
    if (!(name in this.tools) || name === this.#tool) return;
    this.cancel();
    this.#tool = name;
    this.tell("toolchange");
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
    this.tell("brush");
  }

  /** Give up a shape or stroke that is not finished. */
  cancel() {
    this.pointer.cancel();
    this.toolObject.cancel();
    this.redraw("marks");
  }

  // Pointing

  /** The space bar: held it pans, pressed shortly it clicks at the crosshair. */
  holdSpace(isHeld, isLost = false) {
    if (isHeld && !this.isPanning) this.#isSpaceClick = document.activeElement === this.host;
    if (!isHeld && this.isPanning && this.#isSpaceClick && !isLost) this.crosshair.press();
    this.isPanning = isHeld;
    this.redraw("marks");
  }

  pan(dx, dy) {
    this.#isSpaceClick = false;
    super.pan(dx, dy);
  }

  /** The pointer is at {x, y} of the screen, or nowhere. */
  hover(at, erases = false) {
    if (at) this.crosshair.hide();
    this.hovered = at && { ...at, erases };
    if (at) this.toolObject.hover?.(this.view.toPicture(at.x, at.y));
    this.redraw("marks");
  }

  /** The crosshair is at {x, y} of the picture. */
  pointAt(at) {
    this.hovered = null;
    if (this.toolObject.isOpen) this.toolObject.move(at);
    this.reveal(at);
    this.redraw("marks");
  }

  redraw(layer) {
    this.stage.draw(layer);
  }
}
