// What a person is told when something fails: what happened, and what to do about it.

import { Away, Refused } from "./client.js";
import { texts } from "./texts.js";

/** A failure of the page itself, with a code of `texts.errors`. */
export class Problem extends Error {
  constructor(code, detail = "") {
    super(detail || code);
    Object.assign(this, { code, detail });
  }
}

/** Return a notice for anything that was thrown. */
export function noticeOf(error, about) {
  if (error instanceof Away) return { kind: "warning", title: texts.server.away[0], text: texts.server.away[1] };
  if (error instanceof Refused || error instanceof Problem || texts.errors[error?.code]) return known(error, about);
  console.warn(error); // a defect of the page: what a person can do is in the words below
  return { kind: "error", title: texts.errors.no_canvas[0], text: texts.errors.no_canvas[1] };
}

function known(error, about) {
  const [title, todo] = texts.errors[error.code] ?? texts.errors.internal;
  const said = error instanceof Problem && !error.isServers ? [error.detail] : [error.message, error.hint ?? ""];
  const id = error.code === "internal" && error.requestId ? texts.requestId(error.requestId) : "";
  const text = [todo, limitOf(error.code, about), ...said, id].filter(Boolean).map(ended).join(" ");
  return { kind: "error", title, text };
}

/** Return the failure that a job's view tells. */
export function failureOf(view) {
  const error = view.error ?? { code: view.state };
  return Object.assign(new Problem(error.code), { message: error.message ?? "", hint: error.hint ?? "", isServers: true });
}

function limitOf(code, about) {
  if (about === null) return "";
  const { image_bytes: bytes, image_pixels: pixels, image_side: side } = about.limits;
  if (code === "body_too_large") return texts.limit.bytes(Math.floor(bytes / 2 ** 20));
  if (code === "image_too_large" || code === "too_many_pixels") {
    return `${texts.limit.pixels(Math.floor(pixels / 1e6), side)} ${texts.limit.bytes(Math.floor(bytes / 2 ** 20))}`;
  }
  return "";
}

/** What the server says is a clause with names of fields in backticks; a person reads a sentence. */
export function ended(clause) {
  const plain = clause.trim().replace(/`([^`]*)`/g, "$1");
  const text = `${plain.charAt(0).toUpperCase()}${plain.slice(1)}`;
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
