// The variants of a result side by side, and what is to be known and done about the one that is shown.

import { el, fill, icon, thumbnail } from "./dom.js";
import { ended } from "./errors.js";
import { texts } from "./texts.js";

const TILE_PX = 150;

/** Build the panel; `accept(index)` makes a variant the picture, `again(seed)` asks anew (null: another seed). */
export function buildVariants(host, state, { accept, again }) {
  const tiles = el("div", { class: "tiles", role: "group", "aria-label": texts.variants.title });
  const about = el("div", { class: "about" });
  const title = el("h2", { id: "variants-title", text: texts.variants.title });
  fill(host, title, tiles, about);
  let shown = null;
  state.on(["result", "chosen", "work"], ({ result, chosen, work }) => {
    host.hidden = result === null || work !== null;
    if (result === null) return;
    if (result !== shown) fill(tiles, ...result.variants.map((variant, index) => tile(variant, index, state)));
    shown = result;
    [...tiles.children].forEach((button, index) => button.setAttribute("aria-pressed", String(index === chosen)));
    fill(about, ...facts(result, chosen, { accept, again }));
  });
}

function tile(variant, index, state) {
  const button = el("button", {
    type: "button",
    class: "tile",
    "aria-label": variant.isRefused ? `${texts.variants.name(index, variant.seed)}: ${texts.variants.refused}` : texts.variants.name(index, variant.seed),
    on: { click: () => (state.set({ chosen: index }), state.setView({ shows: "result" })) },
  });
  const caption = el("span", { class: "caption", text: texts.variants.seed(variant.seed) });
  if (variant.isRefused) fill(button, icon("shield"), caption);
  else {
    fill(button, caption);
    thumbnail(variant.blob, TILE_PX).then((canvas) => button.prepend(canvas));
  }
  return button;
}

function facts(result, chosen, { accept, again }) {
  const variant = result.variants[chosen];
  const use = el("button", { type: "button", class: "primary", text: texts.variants.accept, on: { click: () => accept(chosen) } });
  const same = el("button", { type: "button", class: "plain", text: texts.variants.same, on: { click: () => again(variant.seed) } });
  const other = el("button", { type: "button", class: "plain", text: texts.variants.other, on: { click: () => again(null) } });
  return [
    verdict(variant),
    el("div", { class: "buttons" }, variant.isRefused ? null : use, same, other),
    ...result.warnings.map((text) => el("p", { class: "hint warning", text: ended(text) })),
    report(result.report),
    el("p", { class: "quiet", text: settings(result) }),
    chosenWord(variant, result.prompt),
  ];
}

function verdict({ isRefused, isKept }) {
  if (isRefused) return el("p", { class: "hint refused" }, icon("shield"), el("span", { text: texts.variants.blocked }));
  if (isKept === null) return null;
  return el("p", { class: isKept ? "hint good" : "hint refused", text: isKept ? texts.variants.kept : texts.variants.lossy });
}

function report(told) {
  const warnings = told.warnings.map((text) => el("li", { text: ended(text) }));
  const all = el("p", { text: texts.report.all(told) });
  if (warnings.length === 0) return el("details", { class: "report" }, el("summary", { text: texts.report.title }), all);
  return el("section", { class: "hint warning" }, el("h3", { text: texts.report.title }), el("ul", {}, ...warnings), all);
}

/** What the model was asked, where the seed chose a word. Results of earlier versions do not say. */
function chosenWord({ spoken }, prompt) {
  return (spoken ?? prompt) === prompt ? null : el("p", { class: "quiet", text: texts.variants.spoken(spoken) });
}

function settings({ settled, seconds }) {
  const { num_inference_steps: steps, guidance_scale: guidance, scheduler } = settled;
  return texts.variants.settings(steps, guidance, scheduler, seconds);
}
