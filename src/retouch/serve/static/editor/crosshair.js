/** The picture by keyboard: arrow keys move a crosshair, Enter or Space does there what a click would. */

const STEP_PX = 10;  // on the screen; with shift five times as far
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Crosshair {
  at = null;  // picture pixels; null while it is not shown

  /** `label(x, y)` are the words for where the crosshair is; a screen reader says them. */
  constructor(editor, host, label = (x, y) => `${x}, ${y}`) {
    this.editor = editor;
    this.label = label;
    this.status = Object.assign(document.createElement("div"), { className: "editor-status" });
    this.status.setAttribute("role", "status");
    host.append(this.status);
    this.abort = new AbortController();
    host.addEventListener("keydown", (event) => this.#key(event), { signal: this.abort.signal });
  }

  close() {
    this.abort.abort();
    this.status.remove();
  }

  hide() {
    this.at = null;
  }

  /** Do what a click does, at the crosshair; `straight` draws a line from the last stroke's end. */
  press(straight = false) {
    const { editor } = this, tool = editor.toolObject;
    if (!tool.down || editor.tool === "extend") return;
    if (!this.at) return this.#put(this.#middle());
    if (tool.isDragged && tool.isOpen) return tool.up(this.at);
    tool.down(this.at, { erases: false, straight });
    if (!tool.isDragged) tool.up(this.at);
    editor.redraw("marks");
  }

  #key(event) {
    const { editor } = this, tool = editor.toolObject;
    if (!editor.isOpen || event.ctrlKey || event.metaKey || event.altKey || event.target !== event.currentTarget) return;
    if (event.key in ARROWS) {
      event.preventDefault();
      if (!tool.key?.(event)) this.#go(event);
    } else if (event.key === "Enter") {
      event.preventDefault();
      this.press(event.shiftKey);
    } else if (event.key === "Backspace" && tool.isOpen) {
      event.preventDefault();
      tool.stepBack?.();
    }
    editor.redraw("marks");
  }

  #go(event) {
    const { editor } = this, { view } = editor, step = STEP_PX * editor.stage.ratio * (event.shiftKey ? 5 : 1);
    const [dx, dy] = ARROWS[event.key];
    if (editor.tool === "pan") return editor.pan(-dx * step, -dy * step);
    const from = this.at ?? this.#middle(), clamp = (value, most) => Math.min(Math.max(value, 0), most);
    const { width, height } = editor.size;
    this.#put({ x: clamp(from.x + (dx * step) / view.scale, width), y: clamp(from.y + (dy * step) / view.scale, height) });
  }

  #put(at) {
    this.at = at;
    this.status.textContent = this.label(Math.round(at.x), Math.round(at.y));
    this.editor.pointAt(at);
  }

  /** The middle of what can be seen of the picture. */
  #middle() {
    const { visible } = this.editor.view, { width, height } = this.editor.size;
    const middle = (low, high, most) => (Math.max(0, low) + Math.min(high, most)) / 2;
    return { x: middle(visible.x0, visible.x1, width), y: middle(visible.y0, visible.y1, height) };
  }
}
