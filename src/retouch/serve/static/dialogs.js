// The two dialogs: a key where the server asks for one, and the shortcuts.

import { byId, el, fill, iconButton } from "./dom.js";
import { texts } from "./texts.js";

let asking = null;

/** Ask for a key; several calls at a time share one dialog. Null where a person would not give one. */
export function askKey(isWrong) {
  asking ??= ask(isWrong).finally(() => (asking = null));
  return asking;
}

function ask(isWrong) {
  const dialog = byId("key");
  const input = el("input", { type: "password", id: "key-field", autocomplete: "off", required: true, spellcheck: false });
  const form = el("form", { method: "dialog" },
    el("h2", { id: "key-title", text: isWrong ? texts.key.wrong : texts.key.first }),
    el("label", { for: "key-field", text: texts.key.label }),
    input,
    el("p", { class: "quiet", text: texts.key.kept }),
    el("div", { class: "buttons" },
      el("button", { type: "submit", class: "primary", text: texts.key.use }),
      el("button", { type: "button", class: "plain", text: texts.key.leave, on: { click: () => dialog.close("") } }),
    ),
  );
  fill(dialog, form);
  return new Promise((resolve) => {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      dialog.close(input.value.trim());
    });
    dialog.returnValue = "";
    dialog.addEventListener("close", () => resolve(dialog.returnValue || null), { once: true });
    dialog.showModal();
  });
}

/** Show the shortcuts, and whether those of one key are on. */
export function openHelp(state) {
  const dialog = byId("help");
  const rows = texts.help.keys.map(([keys, what]) =>
    el("tr", {}, el("th", { scope: "row" }, ...keys.map((key) => el("kbd", { text: key }))), el("td", { text: what })),
  );
  const single = el("input", { type: "checkbox", id: "single-keys", checked: state.now.singleKeys });
  single.addEventListener("change", () => state.set({ singleKeys: single.checked }));
  fill(
    dialog,
    el("div", { class: "head" },
      el("h2", { id: "help-title", text: texts.help.title }),
      iconButton("close", texts.page.close, { on: { click: () => dialog.close() } }),
    ),
    el("table", {}, el("tbody", {}, ...rows)),
    el("div", { class: "field switch" }, single, el("label", { for: "single-keys", text: texts.help.single })),
    el("p", { class: "quiet", text: texts.help.touch }),
  );
  if (!dialog.open) dialog.showModal();
}
