// The way out: a picture as a file in several forms, in the clipboard, or in a sheet beside its mask.

import { blobOf, el, fill, icon, iconButton } from "./dom.js";
import { drawGrid } from "./grid.js";
import { texts } from "./texts.js";

const FORMATS = { png: "PNG", jpeg: "JPEG", webp: "WebP", grid: "" };
const QUALITY = 0.92;

/** Build the bar; `tell(notice)` and `fail(error)` show how it went. */
export function buildOutput(host, editor, state, { tell, fail }) {
  const format = el("select", { "aria-label": texts.output.format, id: "format" });
  fill(format, ...Object.entries(FORMATS).map(([value, text]) => el("option", { value, text: text || texts.output.gridName })));
  const save = el("button", { type: "button", class: "primary" }, icon("save"), el("span", { text: texts.output.download }));
  const copy = iconButton("copy", texts.output.copy);
  save.addEventListener("click", () => download(editor, state, format.value).catch(fail));
  copy.addEventListener("click", async () => {
    try {
      await copyPicture(editor, state);
      tell({ kind: "info", title: texts.output.copied });
    } catch {
      tell({ kind: "warning", title: texts.output.noClipboard });
    }
  });
  fill(host, format, save, copy);
  state.on(["picture", "result", "chosen", "work"], (now) => {
    const isThere = now.picture !== null && now.result?.variants[now.chosen]?.isRefused !== true;
    save.disabled = copy.disabled = !isThere;
    format.disabled = !isThere;
  });
}

/** The variant that is shown; before there is one, the picture. Its bytes are the server's, metadata and all. */
function pictureOf(editor, { result, chosen }) {
  return result === null ? editor.original : result.variants[chosen].blob;
}

async function download(editor, state, format) {
  const now = state.now;
  const blob = format === "grid" ? await grid(editor, now) : await as(pictureOf(editor, now), format);
  const suffix = format === "grid" ? "png" : (blob.type.split("/")[1] ?? "png");
  saveFile(blob, `${stemOf(now.picture.name)}-${texts.download[format === "grid" ? "grid" : "result"]}.${suffix}`);
}

async function grid(editor, { result }) {
  const mask = await editor.maskBlob();
  const variants = (result?.variants ?? []).filter((one) => !one.isRefused);
  return drawGrid({ before: editor.original, mask, variants, prompt: result?.prompt ?? "" });
}

/** Return a picture as a file of a format; a PNG stays as it is, for what is in it makes it again. */
async function as(blob, format) {
  if (blob.type === `image/${format}`) return blob;
  const bitmap = await createImageBitmap(blob);
  const canvas = Object.assign(document.createElement("canvas"), { width: bitmap.width, height: bitmap.height });
  const context = canvas.getContext("2d");
  if (format === "jpeg") {
    context.fillStyle = "#fff"; // there is no transparency in it
    context.fillRect(0, 0, canvas.width, canvas.height);
  }
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return blobOf(canvas, `image/${format}`, QUALITY);
}

async function copyPicture(editor, state) {
  const png = as(pictureOf(editor, state.now), "png");
  await navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
}

/** Hand a file to the browser's downloads. */
export function saveFile(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = el("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** A file's name without its ending, fit for every system. */
export function stemOf(name) {
  const stem = name.replace(/\.[^.]*$/, "").replace(/[\p{Cc}\p{Cf}<>:"/\\|?*]+/gu, " ").trim();
  return stem.slice(0, 80) || texts.page.picture.toLowerCase();
}
