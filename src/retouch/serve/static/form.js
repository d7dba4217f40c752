// What is asked for: the words, how many variants, and the settings that are folded away.

import { el, fill, icon } from "./dom.js";
import { isRemoval, suggestionsOf, unknownWords } from "./words.js";
import { texts } from "./texts.js";

const NUMBERS = {
  num_inference_steps: { min: 1, step: 1, limit: "num_inference_steps" },
  guidance_scale: { min: 0, step: 0.5, limit: "guidance_scale" },
  strength: { min: 0, max: 1, step: 0.05 },
  seed: { min: 0, max: 2 ** 32 - 1, step: 1 },
  padding_px: { min: 0, step: 8, limit: "image_side" },
  grow_px: { min: 0, step: 1, limit: "image_side" },
  feather_px: { min: 0, step: 1, limit: "image_side" },
};
const SETTINGS = [
  ...["num_inference_steps", "guidance_scale", "seed", "strength", "scheduler", "masked_content"],
  ...["region", "padding_px", "grow_px", "feather_px", "seam", "fill_holes", "match_colors"],
];
const PLAIN = { strength: "1", grow_px: "0", feather_px: "0", masked_content: "original", region: "auto" };

/** Build the form over the state; `onSubmit` is called when a person wants the work done. */
export function buildForm(host, state, { onSubmit, onCancel }) {
  const prompt = words(state, "prompt", texts.form.prompt, 2);
  const negative = words(state, "negative_prompt", texts.form.negative, 1);
  const suggestions = el("div", { class: "chips", role: "group", "aria-label": texts.form.things });
  const unknown = el("p", { class: "hint warning", id: "unknown-words", role: "status" });
  const settings = el("details", { class: "settings" }, el("summary", { text: texts.form.settings }));
  const start = el("button", { type: "submit", class: "primary" }, icon("brush"), el("span", { text: texts.form.start }));
  const stop = el("button", { type: "button", class: "danger", on: { click: onCancel } }, icon("close"), el("span", { text: texts.form.stop }));
  fill(
    host,
    el("h2", { class: "sr", text: texts.page.asked }),
    prompt.box, suggestions, unknown, negative.box, settings,
    el("div", { class: "go" }, count(state), start, stop),
  );
  host.addEventListener("submit", (event) => {
    event.preventDefault();
    if (state.now.work === null) onSubmit();
  });
  prompt.input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    host.requestSubmit();
  });
  host.addEventListener("invalid", () => (settings.open = true), true); // what is folded away cannot be corrected
  state.on(["about"], ({ about }) => {
    prompt.input.placeholder = about?.advice.removal ? texts.form.removal : "";
    renderSettings(settings, state, about);
  });
  state.on(["about", "fields"], ({ about, fields }) => {
    const lost = isRemoval(fields.prompt, about?.advice) ? [] : unknownWords(fields.prompt, about?.words);
    unknown.textContent = lost.length ? texts.form.unknown(lost) : "";
    fill(suggestions, ...suggestionsOf(fields.prompt, about?.words).map(chip));
  });
  state.on(["work", "picture"], ({ work, picture }) => {
    start.hidden = work !== null;
    stop.hidden = work === null;
    start.disabled = picture === null;
  });

  function chip({ text, whole }) {
    const use = () => {
      state.setFields({ prompt: whole });
      prompt.input.focus();
    };
    return el("button", { type: "button", class: "chip", text, on: { click: use } });
  }
}

function words(state, name, label, rows) {
  const input = el("textarea", { id: name, rows, maxlength: 2000, autocomplete: "off", spellcheck: true });
  input.addEventListener("input", () => state.setFields({ [name]: input.value }));
  follow(state, name, input);
  return { input, box: el("div", { class: "field" }, el("label", { for: name, text: label }), input) };
}

/** Let an input show the state's value, whoever changed it. */
function follow(state, name, input) {
  state.on(["fields"], ({ fields }) => {
    const value = fields[name] ?? "";
    if (input.type === "checkbox") input.checked = value === "true";
    else if (input.value !== value) input.value = value;
  });
}

function count(state) {
  const name = "num_images_per_prompt";
  const select = el("select", { id: name, on: { change: () => state.setFields({ [name]: select.value }) } });
  state.on(["about"], ({ about }) => {
    const most = Math.min(about?.limits.num_images_per_prompt ?? 4, 8);
    fill(select, ...Array.from({ length: most }, (_, index) => el("option", { value: index + 1, text: index + 1 })));
    if (Number(state.now.fields[name]) > most) state.setFields({ [name]: String(most) });
    select.value = state.now.fields[name];
  });
  follow(state, name, select);
  return el("div", { class: "field inline" }, el("label", { for: name, text: texts.form.variants }), select);
}

function renderSettings(host, state, about) {
  const summary = host.querySelector("summary");
  fill(host, summary, el("div", { class: "grid" }, ...SETTINGS.map((name) => setting(state, name, about))));
}

function setting(state, name, about) {
  const [label, hint] = texts.fields[name];
  const id = `field-${name}`;
  const isSwitch = hint === "";
  const input = isSwitch ? el("input", { type: "checkbox", id }) : control(name, id, about);
  input.addEventListener("change", () => {
    state.setFields({ [name]: isSwitch ? (input.checked ? "true" : "") : input.value });
  });
  follow(state, name, input);
  const named = el("label", { for: id, text: label });
  if (isSwitch) return el("div", { class: "field switch" }, input, named);
  input.setAttribute("aria-describedby", `${id}-hint`);
  return el("div", { class: "field" }, named, input, el("small", { id: `${id}-hint`, text: hint }));
}

function control(name, id, about) {
  const advised = about?.advice[name];
  const choices = name === "scheduler" ? entries(about?.schedulers ?? []) : Object.entries(texts.choices[name] ?? {});
  if (choices.length || name === "scheduler") {
    const silent = PLAIN[name] ? [] : [["", advised ? texts.form.silent(texts.choices[name]?.[advised] ?? advised) : texts.form.own]];
    const shown = choices.map(([value, text]) => [value === PLAIN[name] ? "" : value, text]);
    return el("select", { id }, ...[...silent, ...shown].map(([value, text]) => el("option", { value, text })));
  }
  const { min, max, step, limit } = NUMBERS[name];
  const most = max ?? about?.limits[limit];
  const placeholder = advised !== undefined ? texts.form.silent(advised) : (PLAIN[name] ?? (name === "seed" ? texts.form.random : texts.form.own));
  return el("input", { type: "number", id, min, max: most, step: name === "guidance_scale" ? "any" : step, placeholder, inputmode: "decimal" });
}

const entries = (names) => names.map((name) => [name, name]);
