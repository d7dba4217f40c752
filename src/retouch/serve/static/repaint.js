// From the canvas to a request, and from a job's answer to what is shown of it.

import { Problem } from "./errors.js";

/** Return the form of a request; a field that is "" is left to the server. */
export function requestForm({ image, mask, name, fields }) {
  const form = new FormData();
  for (const [field, value] of Object.entries(fields)) {
    if (value !== "" || field === "prompt") form.append(field, value);
  }
  form.append("image", image, fileName(name));
  form.append("mask_image", mask, "mask.png");
  return form;
}

/** Refuse what the server would refuse, before anything is sent. */
export function checkAsked(editor, about) {
  const border = editor.border;
  const isLarger = border.left + border.top + border.right + border.bottom > 0;
  if (editor.isMaskEmpty && !isLarger) throw new Problem("mask_empty");
  const width = editor.size.width + border.left + border.right;
  const height = editor.size.height + border.top + border.bottom;
  const limits = about?.limits;
  if (limits && (width * height > limits.image_pixels || Math.max(width, height) > limits.image_side)) {
    throw new Problem("too_many_pixels");
  }
  return isLarger;
}

/** Return what the page shows of a job that is done. */
export function resultOf(view, pictures) {
  const { images, mask_report: report, warnings, settled, timings_s: timings } = view.result;
  return {
    prompt: view.request.prompt ?? "",
    variants: images.map((image, index) => ({
      blob: pictures[index],
      seed: image.seed,
      spoken: image.spoken_prompt,
      isRefused: image.nsfw_content_detected === true,
      isKept: image.kept_pixels_identical,
    })),
    report,
    // What is said of the mask stands there, not among the rest.
    warnings: warnings.filter((warning) => !report.warnings.includes(warning)),
    settled,
    seconds: timings.total ?? Object.values(timings).reduce((sum, value) => sum + value, 0),
  };
}

/** A name that a form can carry; what it is called here does not matter to the server. */
function fileName(name) {
  return /^[\w.-]{1,80}$/.test(name) ? name : "picture";
}
