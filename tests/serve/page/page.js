// The editor alone, for its tests: `editor`, and a few things that a page would do, are global.
import { Editor } from "./editor/editor.js";
import { attachKeys } from "./editor/keys.js";

const editor = new Editor(document.querySelector("#host"), { labels: { editor: "Picture and mask", compare: "Compare" } });
attachKeys(editor, document);

const bytesOf = async (blob) => Array.from(new Uint8Array(await blob.arrayBuffer()));
const toBase64 = async (blob) => {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let text = "";
  for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
  return btoa(text);
};
const fetched = async (path) => (await fetch(path)).blob();

Object.assign(window, { editor, bytesOf, toBase64, fetched });
