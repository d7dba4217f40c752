/** Shortcuts of the whole page that belong to the editor; silent while somebody types. */

const GROWTH = 1.15;
const ZOOM = 1.25;

const isTyping = (target) => target.closest?.("textarea, select, [contenteditable=true]") !== null
  || (target.matches?.("input") && !["button", "checkbox", "radio", "range", "submit"].includes(target.type));

const isPressable = (target) => target.closest?.("button, a[href], summary, input, [role=slider], [role=button]") !== null;

const resize = (editor, factor) => {
  const size = editor.brush.size_px, next = Math.round(size * factor);
  editor.brush = { size_px: next === size ? size + Math.sign(factor - 1) : next };
};

/** What a key does. Keys with ctrl (or cmd) are written `ctrl+z`, with shift, too, `shift+ctrl+z`. */
const ACTIONS = {
  "[": (editor) => resize(editor, 1 / GROWTH),
  "]": (editor) => resize(editor, GROWTH),
  "ctrl+z": (editor) => editor.undo(),
  "shift+ctrl+z": (editor) => editor.redo(),
  "ctrl+y": (editor) => editor.redo(),
  "x": (editor) => { editor.tool = editor.tool === "brush" ? "eraser" : "brush"; },
  "b": (editor) => { editor.tool = "brush"; },
  "e": (editor) => { editor.tool = "eraser"; },
  "r": (editor) => { editor.tool = "rectangle"; },
  "l": (editor) => { editor.tool = "lasso"; },
  "p": (editor) => { editor.tool = "polygon"; },
  "f": (editor) => { editor.tool = "fill"; },
  "h": (editor) => { editor.tool = "pan"; },
  "o": (editor) => { editor.tool = "extend"; },
  "i": (editor) => editor.invert(),
  "+": (editor) => editor.zoom(ZOOM),
  "=": (editor) => editor.zoom(ZOOM),
  "-": (editor) => editor.zoom(1 / ZOOM),
  "0": (editor) => editor.fit(),
  "1": (editor) => editor.actualSize(),
  "escape": (editor) => editor.cancel(),
};

const nameOf = (event) => {
  const ctrl = event.ctrlKey || event.metaKey, key = event.key.toLowerCase();
  return `${ctrl && event.shiftKey ? "shift+" : ""}${ctrl ? "ctrl+" : ""}${key}`;
};

/** Listen on `document`; returns a function that stops listening. */
export const attachKeys = (editor, document) => {
  const abort = new AbortController(), options = { signal: abort.signal };
  const isDeaf = (event) => event.defaultPrevented || !editor.isOpen || isTyping(event.target)
    || document.querySelector("dialog[open]") !== null;

  // The space bar is a button's that was reached by keyboard, not one's where a mouse left the focus behind that now
  // points at the picture. Asked when the focus comes: the first key makes it visible.
  let isByKeyboard = true;
  const takesSpace = (target) => isPressable(target) && (editor.hovered === null || isByKeyboard);
  document.addEventListener("focusin", (event) => { isByKeyboard = event.target.matches(":focus-visible"); }, options);

  document.addEventListener("keydown", (event) => {
    if (isDeaf(event)) return;
    if (event.key === " " && !takesSpace(event.target)) {
      event.preventDefault();
      editor.holdSpace(true);
      return;
    }
    const action = event.altKey ? undefined : ACTIONS[nameOf(event)];
    if (!action) return;
    event.preventDefault();
    action(editor);
  }, options);
  document.addEventListener("keyup", (event) => {
    if (event.key !== " " || !editor.isPanning) return;
    event.preventDefault();  // it was not meant for the button that has the focus
    editor.holdSpace(false);
  }, options);
  document.defaultView.addEventListener("blur", () => editor.holdSpace(false, true), options);
  return () => abort.abort();
};
