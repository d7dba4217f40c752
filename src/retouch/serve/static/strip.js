// The history as a strip of small pictures, oldest first.

import { el, fill } from "./dom.js";
import { texts } from "./texts.js";

/** Build the strip; `goTo(id)` returns to a step, `clear()` forgets them all. */
export function buildStrip(host, state, { goTo, clear }) {
  const list = el("ol", { class: "strip" });
  const undo = el("button", { type: "button", class: "plain", text: texts.history.back });
  const forget = el("button", { type: "button", class: "plain", text: texts.history.forget });
  undo.addEventListener("click", () => {
    const { steps, stepId } = state.now;
    const before = steps[steps.findIndex(({ id }) => id === stepId) - 1];
    if (before) goTo(before.id);
  });
  forget.addEventListener("click", () => window.confirm(texts.history.clear) && clear());
  fill(host, el("div", { class: "head" }, el("h2", { id: "history-title", text: texts.history.title }), undo, forget), list);
  const urls = new Map();
  state.on(["steps", "stepId", "work"], ({ steps, stepId, work }) => {
    host.hidden = steps.length === 0;
    undo.disabled = work !== null || steps.findIndex(({ id }) => id === stepId) < 1;
    forget.disabled = work !== null;
    release(urls, steps);
    fill(list, ...steps.map((step) => el("li", {}, entry(step, step.id === stepId, work !== null, urls, goTo))));
    list.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  });
}

function entry(step, isCurrent, isBusy, urls, goTo) {
  if (!urls.has(step.id)) urls.set(step.id, URL.createObjectURL(step.thumb));
  const time = new Date(step.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const name = texts.history.entry(step.label, step.name, time);
  const image = el("img", { src: urls.get(step.id), alt: "" });
  const caption = el("span", { class: "caption", text: step.label });
  const props = { type: "button", class: "tile", title: name, "aria-label": name, disabled: isBusy, "aria-current": isCurrent ? "step" : null };
  return el("button", { ...props, on: { click: () => goTo(step.id) } }, image, caption);
}

/** Let go of the pictures of steps that are gone. */
function release(urls, steps) {
  const kept = new Set(steps.map(({ id }) => id));
  for (const [id, url] of urls) {
    if (kept.has(id)) continue;
    URL.revokeObjectURL(url);
    urls.delete(id);
  }
}
