// What the stage shows: the picture or a variant of it, whole or beside a slider, and what lies over them.

import { el, fill } from "./dom.js";
import { texts } from "./texts.js";

/** Build the bar below the stage, and keep the editor showing what the state says. */
export function buildCompare(host, editor, state) {
  const slider = el("button", { type: "button", class: "plain", text: texts.compare.slider });
  slider.addEventListener("click", () => state.setView({ shows: "result", split: state.now.view.split === null ? 0.5 : null }));
  const hold = el("button", { type: "button", class: "plain", text: texts.compare.hold, title: texts.compare.holdKey });
  const overlays = ["none", "changes", "mask"].map((name) => {
    const button = el("button", { type: "button", class: "plain", text: texts.compare.overlays[name] });
    button.addEventListener("click", () => state.setView({ overlay: name }));
    return button;
  });
  fill(
    host,
    slider,
    hold,
    el("div", { class: "segments", role: "group", "aria-label": texts.compare.overlay }, ...overlays),
  );
  holdToSee(hold, state);
  state.on(["result", "view"], ({ result, view }) => {
    host.hidden = result === null;
    slider.setAttribute("aria-pressed", String(view.split !== null));
    hold.setAttribute("aria-pressed", String(view.shows === "picture"));
    overlays.forEach((button, index) =>
      button.setAttribute("aria-pressed", String(["none", "changes", "mask"][index] === view.overlay)),
    );
  });
  showVariants(editor, state);
}

/** While a button or the key C is held, the picture is shown as it was. */
function holdToSee(button, state) {
  const show = (shows) => state.now.result !== null && state.setView({ shows });
  button.addEventListener("pointerdown", () => show("picture"));
  for (const name of ["pointerup", "pointercancel", "pointerleave", "blur"]) button.addEventListener(name, () => show("result"));
  const isKey = (event) => event.key === " " || event.key === "Enter";
  button.addEventListener("keydown", (event) => isKey(event) && show("picture"));
  button.addEventListener("keyup", (event) => isKey(event) && show("result"));
}

function showVariants(editor, state) {
  let shown = null; // the variant whose bitmap is decoded, one at a time: they are large
  let bitmap = null;
  const place = () => {
    const { view } = state.now;
    editor.compare = { image: view.shows === "result" ? bitmap : null, split: view.split };
    editor.overlay = view.overlay === "changes" && bitmap === null ? "none" : view.overlay;
  };
  state.on(["result", "chosen", "view"], async ({ result, chosen }) => {
    const variant = result?.variants[chosen] ?? null;
    if (variant === shown) return place();
    shown = variant;
    const decoded = variant === null || variant.isRefused ? null : await createImageBitmap(variant.blob);
    if (shown !== variant) return decoded?.close();
    bitmap?.close();
    bitmap = decoded;
    place();
  });
}

/** Return a rough picture of work under way at the size of the picture that it lies over. */
export async function readPreview(url, { width, height }) {
  const image = new Image();
  image.src = url;
  await image.decode();
  return createImageBitmap(image, { resizeWidth: width, resizeHeight: height });
}
