/** The picture: decoded upright, with halved copies so that a small view of many megapixels is quick and smooth. */

import { coded } from "./mask_file.js";

const SMALLEST_SIDE = 512;
const PIXELS_FROM = 3;  // from this scale on, pixels are shown as squares

const decode = async (source) => {
  try {
    return await createImageBitmap(source, { imageOrientation: "from-image" });
  } catch {
    throw coded("picture_unreadable", "this browser cannot read the picture");
  }
};

const halvedCopies = async (bitmap) => {
  const copies = [bitmap];
  for (let last = bitmap; Math.min(last.width, last.height) >= 2 * SMALLEST_SIDE; last = copies.at(-1)) {
    const resizeWidth = Math.ceil(last.width / 2), resizeHeight = Math.ceil(last.height / 2);
    copies.push(await createImageBitmap(last, { resizeWidth, resizeHeight, resizeQuality: "medium" }));
  }
  return copies;
};

const asBlob = async (bitmap) => {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  return canvas.convertToBlob();
};

/** Whether anything can be seen through the picture: asked of its smallest copy. */
const isSeeThrough = (bitmap) => {
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  for (let i = 3; i < data.length; i += 4) if (data[i] < 255) return true;
  return false;
};

export class Picture {
  /** Read a Blob (its EXIF orientation applied) or take an ImageBitmap. Error by code: `picture_unreadable`. */
  static async from(source) {
    const bitmap = await decode(source);
    const original = source instanceof Blob ? source : await asBlob(bitmap);
    return new Picture(original, await halvedCopies(bitmap));
  }

  constructor(original, copies) {
    this.original = original;
    this.bitmap = copies[0];
    this.copies = copies;
    this.isSeeThrough = isSeeThrough(copies.at(-1));
  }

  get width() {
    return this.bitmap.width;
  }

  get height() {
    return this.bitmap.height;
  }

  close() {
    this.copies.forEach((copy) => copy.close());
  }

  /** Draw what can be seen, with the picture's corner at (left, top) in picture pixels. */
  draw(context, view, left = 0, top = 0) {
    const seen = view.visible;
    const x0 = Math.max(seen.x0 - left, 0), y0 = Math.max(seen.y0 - top, 0);
    const x1 = Math.min(seen.x1 - left, this.width), y1 = Math.min(seen.y1 - top, this.height);
    if (x0 >= x1 || y0 >= y1) return;
    const level = Math.min(Math.max(0, Math.floor(Math.log2(1 / view.scale))), this.copies.length - 1);
    const copy = this.copies[level], fx = copy.width / this.width, fy = copy.height / this.height;
    const at = view.toScreen(left + x0, top + y0);
    context.imageSmoothingEnabled = view.scale < PIXELS_FROM;
    context.drawImage(copy, x0 * fx, y0 * fy, (x1 - x0) * fx, (y1 - y0) * fy,
      at.x, at.y, (x1 - x0) * view.scale, (y1 - y0) * view.scale);
  }
}
