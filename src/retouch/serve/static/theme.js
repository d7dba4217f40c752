// Light, dark, or as the system has it.

import { iconButton } from "./dom.js";
import { texts } from "./texts.js";

const KEPT = "retouch.theme";
const THEMES = ["system", "light", "dark"];

/** Return the button that goes from one to the next. */
export function themeButton() {
  let theme = THEMES.includes(read()) ? read() : "system";
  const button = iconButton("theme", "", {});
  const show = () => {
    document.documentElement.dataset.theme = theme;
    const label = texts.theme(theme);
    button.setAttribute("aria-label", label);
    button.title = label;
  };
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    write(theme);
    show();
  });
  show();
  return button;
}

function read() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

function write(theme) {
  try {
    localStorage.setItem(KEPT, theme);
  } catch {
    // a browser that keeps nothing
  }
}
