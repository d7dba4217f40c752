// The page's own keys; those of the picture are the editor's.

import { openHelp } from "./dialogs.js";

const TYPED = new Set(["text", "number", "password", "search", "email", "url"]);

/** Listen on the document. Keys of one character do nothing while somebody types, or where they are switched off. */
export function listenToKeys(state, { start, cancel }) {
  // Before the editor's keys hear of it; what has the focus keeps its own.
  window.addEventListener("keydown", (event) => {
    if (!state.now.singleKeys && isCharacter(event) && event.target === document.body) event.stopPropagation();
  }, true);
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) return start();
    if (event.key === "Escape" && state.now.work !== null) return cancel();
    if (!isSingle(event, state)) return;
    if (event.key === "?") openHelp(state);
    if (event.key.toLowerCase() === "c" && state.now.result !== null) state.setView({ shows: "picture" });
  });
  const letGo = (event) => {
    if (event.type === "blur" || event.key.toLowerCase() === "c") state.setView({ shows: "result" });
  };
  document.addEventListener("keyup", letGo);
  window.addEventListener("blur", letGo);
}

function isCharacter(event) {
  return event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey;
}

function isSingle(event, state) {
  const { target } = event;
  const isTyping = target.tagName === "TEXTAREA" || target.isContentEditable || (target.tagName === "INPUT" && TYPED.has(target.type));
  return state.now.singleKeys && !isTyping && target.tagName !== "SELECT" && isCharacter(event) && !event.altKey;
}
