/** Mouse, pen and fingers: one paints or pulls, two pan and zoom, the wheel zooms to where it points. */

const PIXELS_PER_LINE = 16;
const ZOOM_PER_PIXEL = 0.002;
const SETTLED_MS = 300;  // a stroke this old is meant; a younger one ends unpainted when a second finger comes

export class PointerInput {
  #touches = new Map();
  #gesture = null;  // {kind: "tool" | "pan" | "pinch", id, last, since}

  constructor(editor, host) {
    this.editor = editor;
    this.host = host;
    this.abort = new AbortController();
    const on = (name, handle, options = {}) => {
      host.addEventListener(name, handle, { ...options, signal: this.abort.signal });
    };
    on("pointerdown", (event) => this.#down(event));
    on("pointermove", (event) => this.#move(event));
    on("pointerup", (event) => this.#up(event, false));
    on("pointercancel", (event) => this.#up(event, true));
    on("pointerleave", () => this.#gesture || editor.hover(null));
    on("pointerover", (event) => this.#gesture || event.target === host || editor.hover(null));  // on the line's handle
    on("wheel", (event) => this.#wheel(event), { passive: false });
    on("contextmenu", (event) => event.preventDefault());
  }

  /** Whether a stroke or a pull is under way. */
  get isBusy() {
    return this.#gesture !== null;
  }

  close() {
    this.abort.abort();
  }

  /** End what is under way without painting it. */
  cancel() {
    if (this.#gesture?.kind === "tool") this.editor.toolObject.cancel();
    this.#gesture = null;
    this.editor.redraw("marks");
  }

  #down(event) {
    if (!this.editor.isOpen) return;
    this.host.focus({ preventScroll: true });
    this.host.setPointerCapture(event.pointerId);
    const at = this.editor.stage.at(event);
    if (event.pointerType === "touch") {
      this.#touches.set(event.pointerId, at);
      if (this.#touches.size === 2) return this.#pinch();
      if (this.#touches.size > 2) return;
    }
    if (this.#gesture) return;
    const pans = event.button === 1 || this.editor.isPanning || this.editor.tool === "pan";
    if (!pans && ![0, 2, 5].includes(event.button)) return;
    this.#gesture = { kind: pans ? "pan" : "tool", id: event.pointerId, last: at, since: event.timeStamp };
    event.preventDefault();  // no text selection, no autoscroll
    if (pans) return this.editor.hover(null);
    const erases = event.button !== 0 || event.altKey;
    this.editor.toolObject.down(this.#onPicture(at), { erases, straight: event.shiftKey });
    this.editor.hover(at, erases);
  }

  #move(event) {
    const at = this.editor.stage.at(event);
    if (this.#touches.has(event.pointerId)) {
      const before = this.#touches.get(event.pointerId);
      this.#touches.set(event.pointerId, at);
      if (this.#gesture?.kind === "pinch") return this.#pinched(event.pointerId, before, at);
    }
    if (this.#gesture && this.#gesture.id !== event.pointerId) return;
    if (this.#gesture?.kind === "pan") {
      this.editor.pan(at.x - this.#gesture.last.x, at.y - this.#gesture.last.y);
      this.#gesture.last = at;
    } else if (this.#gesture) {
      const events = event.getCoalescedEvents?.() ?? [];
      for (const each of events.length ? events : [event]) {
        this.editor.toolObject.move(this.#onPicture(this.editor.stage.at(each)));
      }
      this.editor.hover(at, this.editor.hovered?.erases);
    } else if (event.pointerType !== "touch") {
      this.editor.hover(at, event.altKey);
    }
  }

  #up(event, isCancelled) {
    this.#touches.delete(event.pointerId);
    const gesture = this.#gesture;
    if (gesture?.kind === "pinch" && this.#touches.size > 0) return;  // one finger left: it does not paint
    if (!gesture || (gesture.kind !== "pinch" && gesture.id !== event.pointerId)) return;
    this.#gesture = null;
    if (gesture.kind === "tool") {
      if (isCancelled) this.editor.toolObject.cancel();
      else this.editor.toolObject.up(this.#onPicture(this.editor.stage.at(event)));
    }
    if (event.pointerType === "touch") this.editor.hover(null);
    else this.editor.hover(this.editor.stage.at(event), event.altKey);
  }

  /** A second finger came. */
  #pinch() {
    const tool = this.editor.toolObject, gesture = this.#gesture;
    if (gesture?.kind === "tool") {
      if (performance.now() - gesture.since < SETTLED_MS) tool.cancel();
      else tool.up(this.#onPicture([...this.#touches.values()][0]));
    }
    this.#gesture = { kind: "pinch" };
    this.editor.hover(null);
  }

  #pinched(id, before, now) {
    const [other] = [...this.#touches].filter(([key]) => key !== id).map(([, at]) => at);
    if (!other) return;
    const middle = (p) => ({ x: (p.x + other.x) / 2, y: (p.y + other.y) / 2 });
    const apart = (p) => Math.max(1, Math.hypot(p.x - other.x, p.y - other.y));
    const from = middle(before), to = middle(now);
    this.editor.pan(to.x - from.x, to.y - from.y);
    this.editor.zoomAt(apart(now) / apart(before), to);
  }

  #wheel(event) {
    if (!this.editor.isOpen) return;
    event.preventDefault();
    const unit = [1, PIXELS_PER_LINE, this.host.clientHeight][event.deltaMode];
    const pinch = event.ctrlKey ? 4 : 1;  // a touchpad's pinch arrives as a small ctrl-wheel
    const factor = Math.exp(-event.deltaY * unit * pinch * ZOOM_PER_PIXEL);
    this.editor.zoomAt(Math.min(2, Math.max(0.5, factor)), this.editor.stage.at(event));
  }

  #onPicture({ x, y }) {
    return this.editor.view.toPicture(x, y);
  }
}
