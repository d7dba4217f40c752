// Elements without markup: whatever is shown goes through `textContent` and attributes that cannot run.

/** Make an element. `props`: `on` holds listeners, `text` the text; true sets an empty attribute, false and null none. */
export function el(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  const { on = {}, text, ...attributes } = props;
  for (const [name, listener] of Object.entries(on)) made.addEventListener(name, listener);
  if (text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

/** Return a picture of the sprite in index.html; it says nothing to a screen reader. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** A button with a picture and its name, which also is the tip. `shortcut` is said to screen readers, too. */
export function iconButton(name, label, { shortcut, showLabel = false, ...props } = {}) {
  const tip = shortcut ? `${label} (${shortcut})` : label;
  return el(
    "button",
    { type: "button", class: "tool", title: tip, "aria-label": showLabel ? null : label, ...props },
    icon(name),
    showLabel ? el("span", { text: label }) : null,
  );
}

export const byId = (id) => document.getElementById(id);

/** Replace what an element holds. */
export function fill(host, ...children) {
  host.replaceChildren(...children.filter((child) => child !== null && child !== undefined && child !== false));
}

/** Draw a picture small, for a tile: `side` CSS pixels at most, sharp on dense screens. */
export async function thumbnail(source, side) {
  const bitmap = source instanceof ImageBitmap ? source : await createImageBitmap(source);
  const scale = Math.min(1, (side * Math.min(window.devicePixelRatio || 1, 2)) / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  if (bitmap !== source) bitmap.close();
  return canvas;
}

/** Return a canvas as a file. */
export function blobOf(canvas, type = "image/png", quality = undefined) {
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture could be made"))), type, quality);
  });
}

/** A random id; `crypto.randomUUID` is missing where a page came over plain http. */
export function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
