// The tools of the mask, and what can be done to it.

import { byId, el, fill, iconButton } from "./dom.js";
import { texts } from "./texts.js";

const TOOLS = ["brush", "eraser", "rectangle", "lasso", "polygon", "fill", "pan", "extend"];
const GROW_PX = 4;
const ICONS = { loadMask: "load", saveMask: "save" };
const SHORTCUTS = { undo: "Ctrl Z", redo: "Ctrl Shift Z" };
/** The brush slider runs over these: 2^(value / 10) pixels. */
const [LEAST, MOST] = [10, 100];

/** Build both bars over an editor. */
export function buildToolbar(tools, options, editor, state, { loadMask, saveMask }) {
  const buttons = TOOLS.map((name) =>
    iconButton(name, texts.tools[name], {
      "aria-pressed": "false",
      on: { click: () => choose(editor, state, name) },
    }),
  );
  fill(tools, ...buttons);
  rove(tools);
  const act = {
    undo: () => editor.undo(),
    redo: () => editor.redo(),
    invert: () => editor.invert(),
    grow: () => editor.grow(GROW_PX),
    shrink: () => editor.grow(-GROW_PX),
    clear: () => editor.clear(),
    loadMask,
    saveMask,
    fit: () => editor.fit(),
    actual: () => editor.actualSize(),
  };
  const actions = Object.fromEntries(
    Object.entries(act).map(([name, run]) => [
      name,
      iconButton(ICONS[name] ?? name, texts.actions[name], { shortcut: SHORTCUTS[name], on: { click: run } }),
    ]),
  );
  const brush = brushControls(editor);
  const says = byId("says");
  fill(options, brush.box, el("div", { class: "buttons" }, ...Object.values(actions)));

  state.on(["tool", "picture"], ({ tool, picture }) => {
    for (const [index, button] of buttons.entries()) {
      button.setAttribute("aria-pressed", String(TOOLS[index] === tool));
      button.disabled = picture === null;
    }
    brush.box.classList.toggle("idle", tool !== "brush" && tool !== "eraser");
    if (editor.tool !== tool) editor.tool = tool;
  });
  state.on(["mask", "picture", "tool", "border"], ({ mask, picture, tool, border }) => {
    for (const button of Object.values(actions)) button.disabled = picture === null;
    actions.undo.disabled ||= !mask.canUndo;
    actions.redo.disabled ||= !mask.canRedo;
    for (const name of ["grow", "shrink", "clear", "saveMask"]) actions[name].disabled ||= mask.isEmpty;
    if (picture === null) says.textContent = "";
    else if (border !== null) says.textContent = texts.borderIs(border);
    else says.textContent = mask.isEmpty ? texts.toolHints[tool] : texts.maskIs(mask.coverage);
  });
}

/** Take a tool. The editor tells the page when its own keys have done so. */
export function choose(editor, state, tool) {
  editor.tool = tool;
  state.set({ tool });
  state.setView({ overlay: "mask" });
}

function brushControls(editor) {
  const size = range("brush-size", texts.brush.size, LEAST, MOST, 1);
  const softness = range("brush-softness", texts.brush.softness, 0, 100, 5);
  const show = () => {
    const { size_px: px, softness: soft } = editor.brush;
    size.input.value = String(Math.round(10 * Math.log2(Math.max(px, 1))));
    size.says.textContent = `${Math.round(px)} px`;
    size.input.setAttribute("aria-valuetext", `${Math.round(px)} px`);
    softness.input.value = String(Math.round(soft * 100));
    softness.says.textContent = `${Math.round(soft * 100)} %`;
    softness.input.setAttribute("aria-valuetext", `${Math.round(soft * 100)} %`);
  };
  size.input.addEventListener("input", () => {
    editor.brush = { ...editor.brush, size_px: Math.round(2 ** (Number(size.input.value) / 10)) };
    show();
  });
  softness.input.addEventListener("input", () => {
    editor.brush = { ...editor.brush, softness: Number(softness.input.value) / 100 };
    show();
  });
  editor.addEventListener("brush", show);
  editor.addEventListener("open", show);
  show();
  return { box: el("div", { class: "brush" }, size.box, softness.box) };
}

function range(id, label, min, max, step) {
  const input = el("input", { type: "range", id, min, max, step });
  const says = el("output", { for: id });
  return { input, says, box: el("div", { class: "range" }, el("label", { for: id, text: label }), input, says) };
}

/** One stop for the tab key; arrows go from tool to tool, as in every toolbar. */
function rove(bar) {
  const all = () => [...bar.querySelectorAll("button")];
  const settle = (chosen) => all().forEach((button) => (button.tabIndex = button === chosen ? 0 : -1));
  settle(all()[0]);
  bar.addEventListener("focusin", (event) => settle(event.target));
  bar.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const buttons = all();
    buttons.at((buttons.indexOf(document.activeElement) + step) % buttons.length).focus();
  });
}
