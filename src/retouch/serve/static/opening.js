// How a picture comes in: by file, drop, paste, or the sample; and a mask, by file.

import { byId, el, fill, icon } from "./dom.js";
import { texts } from "./texts.js";

/** Listen everywhere a picture may come from; `open(blob, name)` is given each. */
export function buildOpening(state, { open, openSample }) {
  const input = byId("picture");
  input.addEventListener("change", () => {
    const [file] = input.files;
    if (file) open(file, file.name);
    input.value = ""; // the same file can be chosen again
  });
  fill(
    byId("empty"),
    el("p", { class: "title", text: texts.empty.title }),
    el("p", { text: texts.empty.text }),
    el("div", { class: "buttons" },
      el("button", { type: "button", class: "primary", on: { click: () => input.click() } }, icon("load"), el("span", { text: texts.empty.open })),
      el("button", { type: "button", class: "plain", text: texts.empty.sample, on: { click: openSample } }),
    ),
    el("p", { class: "quiet", text: texts.empty.more }),
  );
  const name = byId("picture-name");
  state.on(["picture"], ({ picture }) => {
    byId("empty").hidden = picture !== null;
    name.textContent = picture === null ? "" : `${picture.name}, ${texts.size(picture.width, picture.height)}`;
    name.title = picture?.name ?? "";
  });
  listenToDrops(open);
  document.addEventListener("paste", (event) => {
    const file = pictureIn(event.clipboardData);
    if (!file) return; // words for a text field
    event.preventDefault();
    open(file, texts.pasted);
  });
}

function listenToDrops(open) {
  const target = byId("drop");
  let depth = 0;
  const leave = () => ((depth = 0), (target.hidden = true));
  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  document.addEventListener("dragenter", (event) => {
    if (!hasFiles(event)) return;
    depth += 1;
    target.hidden = false;
  });
  document.addEventListener("dragleave", () => {
    depth -= 1;
    if (depth <= 0) leave();
  });
  document.addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    leave();
    const file = pictureIn(event.dataTransfer) ?? event.dataTransfer.files[0];
    if (file) open(file, file.name);
  });
}

function pictureIn(transfer) {
  return [...(transfer?.files ?? [])].find((file) => file.type.startsWith("image/"));
}
