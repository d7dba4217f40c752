// Puts the page together: the state, the editor, and one module for each part of the window.

import { Chain } from "./chain.js";
import { Client } from "./client.js";
import { buildCompare, readPreview } from "./compare.js";
import { askKey, openHelp } from "./dialogs.js";
import { byId, fill, iconButton } from "./dom.js";
import { Editor } from "./editor/editor.js";
import { attachKeys } from "./editor/keys.js";
import { noticeOf } from "./errors.js";
import { buildForm } from "./form.js";
import { buildOpening } from "./opening.js";
import { buildOutput, saveFile, stemOf } from "./output.js";
import { buildNotices, buildProgress } from "./progress.js";
import { checkAsked, requestForm, resultOf } from "./repaint.js";
import { Server } from "./server.js";
import { listenToKeys } from "./shortcuts.js";
import { State } from "./state.js";
import { Store } from "./store.js";
import { buildStrip } from "./strip.js";
import { texts } from "./texts.js";
import { themeButton } from "./theme.js";
import { buildToolbar } from "./toolbar.js";
import { buildVariants } from "./variants.js";
import { Work } from "./work.js";

const UNDER_WAY = "retouch.job";

say();
const state = new State();
const client = new Client({ askKey });
const server = new Server(client, state);
const store = new Store();
const editor = new Editor(byId("editor"), { labels: texts.editor });
const chain = new Chain({ editor, state, store });
const work = new Work({ client, server, state, onPreview: (url) => preview(url).catch(console.warn), onJob: rememberJob });
let rough = null; // the preview that lies over the picture

const tell = (notice) => state.set({ notice });
const fail = (error) => tell(noticeOf(error, state.now.about));
const guarded = (act) => async (...args) => {
  try {
    return await act(...args);
  } catch (error) {
    return fail(error);
  }
};

const open = guarded(async (blob, name) => {
  if (state.now.work !== null) return;
  tell(null);
  await chain.open(blob, name);
});
const openSample = guarded(async () => {
  const [image, mask] = await Promise.all(["sample.png", "sample-mask.png"].map(async (name) => (await fetch(`static/${name}`)).blob()));
  await open(image, texts.sample);
  await editor.loadMask(mask);
  if (state.now.fields.prompt === "") state.setFields({ prompt: texts.samplePrompt });
});
const loadMask = guarded(async (file) => {
  try {
    await editor.loadMask(file);
  } catch (error) {
    if (error.code !== "mask_alpha") throw error;
    await editor.loadMask(file, window.confirm(texts.mask.transparent) ? "transparent" : "white");
  }
  state.setView({ overlay: "mask" });
});
const saveMask = guarded(async () => {
  saveFile(await editor.maskBlob(), `${stemOf(state.now.picture.name)}-${texts.download.mask}.png`);
});
const goTo = guarded((id) => chain.goTo(id));
const accept = guarded((index) => chain.accept(index));

const repaint = guarded(async () => {
  if (state.now.picture === null || state.now.work !== null) return;
  state.set({ notice: null, work: { phase: "preparing" } });
  try {
    await learn();
    if (checkAsked(editor, state.now.about)) await enlarge();
    const fields = { ...state.now.fields };
    const mask = await editor.maskBlob();
    await see(() => requestForm({ image: editor.original, mask, name: state.now.picture.name, fields }), mask, fields);
  } finally {
    state.set({ work: null });
  }
});

/** Ask what the server paints with and allows, until it has told. */
async function learn() {
  if (state.now.about === null) state.set({ about: await client.about() });
}

async function again(seed) {
  state.setFields({ seed: seed === null ? "" : String(seed) });
  await repaint();
}

/** See work to its end, new or from before a reload, and show what came of it. */
async function see(makeForm, mask, fields, jobId = null) {
  try {
    const outcome = await work.run(makeForm, jobId);
    if (outcome === null) return tell({ kind: "info", title: texts.work.cancelled });
    await chain.attach(resultOf(outcome.view, outcome.pictures), mask, fields);
  } finally {
    rough?.close();
    rough = null;
    state.setView({}); // what the stage shows is the state's again
  }
}

/** Make the picture as large as its border was dragged, with what was added marked. */
async function enlarge() {
  const { image, mask } = await editor.composedForOutpainting();
  await chain.open(image, state.now.picture.name, { label: texts.enlarged, isNext: true });
  await editor.loadMask(mask);
  state.set({ tool: "brush" });
}

async function preview(url) {
  const bitmap = await readPreview(url, editor.size);
  if (!work.isUnderWay) return bitmap.close(); // the work was faster
  editor.overlay = "none"; // until it has ended; the state still says what was over the picture
  editor.compare = { image: bitmap, split: null };
  rough?.close();
  rough = bitmap;
}

function rememberJob(id) {
  if (id === null) sessionStorage.removeItem(UNDER_WAY);
  else sessionStorage.setItem(UNDER_WAY, JSON.stringify({ id, stepId: state.now.stepId }));
}

/** After a reload: go on seeing the work that was under way. */
const resume = guarded(async () => {
  const { id, stepId } = JSON.parse(sessionStorage.getItem(UNDER_WAY) ?? "{}");
  if (id === undefined || stepId !== state.now.stepId) return;
  await see(null, await editor.maskBlob(), { ...state.now.fields }, id);
});

/** Put the words of texts.js into the page. */
function say() {
  document.documentElement.lang = texts.language;
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = texts.page[node.dataset.text];
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", texts.page[node.dataset.label]);
}

function followEditor() {
  const read = () => {
    const { left, top, right, bottom } = editor.border;
    state.set({
      mask: { isEmpty: editor.isMaskEmpty, coverage: editor.coverage, canUndo: editor.canUndo, canRedo: editor.canRedo },
      border: left + top + right + bottom > 0 ? { left, top, right, bottom } : null,
    });
  };
  for (const name of ["open", "mask", "border"]) editor.addEventListener(name, read);
  editor.addEventListener("mask", () => state.now.view.overlay !== "mask" && state.setView({ overlay: "mask" }));
  editor.addEventListener("compare", () => state.setView({ split: editor.compare.split }));
  editor.addEventListener("toolchange", () => state.set({ tool: editor.tool }));
}

function build() {
  const maskInput = byId("mask-file");
  maskInput.addEventListener("change", () => {
    if (maskInput.files[0]) loadMask(maskInput.files[0]);
    maskInput.value = "";
  });
  buildOpening(state, { open, openSample });
  buildToolbar(byId("tools"), byId("options"), editor, state, { loadMask: () => maskInput.click(), saveMask });
  buildForm(byId("form"), state, { onSubmit: repaint, onCancel: () => work.cancel() });
  buildProgress(byId("work"), state);
  buildNotices(byId("notice"), byId("status"), state);
  buildCompare(byId("compare"), editor, state);
  buildVariants(byId("variants"), state, { accept, again });
  buildOutput(byId("saving"), editor, state, { tell, fail });
  buildStrip(byId("history"), state, { goTo, clear: guarded(() => chain.clear()) });
  const help = iconButton("help", texts.help.title, { shortcut: "?", on: { click: () => openHelp(state) } });
  fill(byId("chrome"), themeButton(), help);
  listenToKeys(state, { start: () => byId("form").requestSubmit(), cancel: () => work.cancel() });
  attachKeys(editor, document);
  followEditor();
}

build();
if (!(await store.isOpen)) tell({ kind: "warning", title: texts.history.off });
state.on(["server"], ({ server: isThere }) => isThere === "here" && guarded(learn)());
await guarded(() => chain.restore())();
await resume();
