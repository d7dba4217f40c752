// Work under way, the state of the server, and whatever else a person has to be told.

import { el, fill, iconButton } from "./dom.js";
import { texts } from "./texts.js";

/** Build the panel of progress. */
export function buildProgress(host, state) {
  const bar = el("progress", { max: 1, "aria-labelledby": "work-says" });
  const says = el("p", { id: "work-says" });
  fill(host, el("h2", { id: "work-title", class: "sr", text: texts.page.work }), says, bar);
  state.on(["work", "server"], ({ work, server }) => {
    host.hidden = work === null;
    if (work === null) return;
    says.textContent = server === "here" ? wordOf(work) : texts.work.away;
    if (work.phase === "running" && work.total) bar.value = work.step / work.total;
    else bar.removeAttribute("value");
  });
}

function wordOf({ phase, position, step, total, seconds }) {
  if (phase === "queued") return texts.work.queued(position);
  if (phase === "running") return texts.work.running(step, total);
  if (phase === "full") return texts.work.full(seconds);
  return texts.work[phase];
}

/** Build the notice at the top, and what only a screen reader is told. */
export function buildNotices(host, status, state) {
  state.on(["notice", "server"], ({ notice, server }) => {
    const [title, text] = texts.server[server] ?? [];
    const shown = server === "here" ? notice : { kind: "warning", title, text };
    if (shown === null) return fill(host);
    const close = iconButton("close", texts.page.close, { on: { click: () => state.set({ notice: null }) } });
    fill(
      host,
      el("div", { class: `notice ${shown.kind}` },
        el("div", {}, el("strong", { text: shown.title }), shown.text ? el("p", { text: shown.text }) : null),
        server === "here" ? close : null,
      ),
    );
  });
  let told = null;
  state.on(["work", "result"], ({ work, result }) => {
    const isDone = told !== null && work === null && result !== null && result !== told.result;
    if (isDone) status.textContent = texts.work.done(result.variants.length);
    else if (work !== null && told?.work === null) status.textContent = texts.work.sending;
    told = { work, result: work === null ? result : (told?.result ?? result) };
  });
}
