"""The editor alone on a page, and the hands that work on it: real input events, through the browser's own door."""

import base64
import contextlib
import functools
import io
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
from PIL import Image
from selenium import webdriver
from selenium.webdriver.support.wait import WebDriverWait

from retouch import serve

HERE = Path(__file__).parent
EDITOR = Path(serve.__file__).parent / "static" / "editor"
ALT, CTRL, SHIFT = 1, 2, 8
TIMEOUT_S = 60.0
EVENTS = ["open", "mask", "view", "brush", "border", "toolchange", "compare", "changes"]

Point = tuple[float, float]
Mask = npt.NDArray[np.uint8]


class _Files(SimpleHTTPRequestHandler):
    """The page of this folder, the editor's modules, and pictures that tests put up."""

    pictures: dict[str, bytes] = {}  # noqa: RUF012  one server a session, filled by its benches

    def translate_path(self, path: str) -> str:
        name = path.partition("?")[0].lstrip("/")
        return str(EDITOR / name.removeprefix("editor/") if name.startswith("editor/") else HERE / name)

    def do_GET(self) -> None:
        body = self.pictures.get(self.path)
        if body is None:
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@contextlib.contextmanager
def serving_editor() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Files) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join(TIMEOUT_S)


def encoded(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def photograph(width: int, height: int) -> Image.Image:
    """Something with large shapes and fine grain, the same every time."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    grain = np.random.default_rng(7).integers(-12, 12, (height, width), dtype=np.int16)
    waves = [128 + 90 * np.sin(x / (width / a)) * np.cos(y / (height / b)) for a, b in ((5, 3), (4, 6), (7, 5))]
    return Image.fromarray(np.stack([np.clip(wave + grain, 0, 255) for wave in waves], axis=-1).astype(np.uint8))


@dataclass
class EditorBench:
    browser: webdriver.Chrome
    url: str
    folder: Path

    def __post_init__(self) -> None:
        self.browser.get(f"{self.url}/editor.html")
        self.until("return window.editor !== undefined")
        self.js(
            "window.told = []; for (const n of arguments[0]) editor.addEventListener(n, () => told.push(n))",
            EVENTS,
        )

    # Asking the page

    def js(self, code: str, *arguments: object) -> Any:
        return self.browser.execute_script(code, *arguments)

    def later(self, expression: str, *arguments: object) -> Any:
        """The value of a promise; an error becomes {"error": ..., "code": ...}."""
        code = (
            "const done = arguments[arguments.length - 1];"
            f"(async () => ({expression}))()"
            ".then(done, (error) => done({error: error.message, code: error.code ?? null}))"
        )
        self.browser.set_script_timeout(TIMEOUT_S)
        return self.browser.execute_async_script(code, *arguments)

    def until(self, code: str, *arguments: object) -> Any:
        waiting = WebDriverWait(self.browser, TIMEOUT_S, 0.02)
        return waiting.until(lambda browser: browser.execute_script(code, *arguments))

    def frame(self) -> None:
        """Wait until what was asked for is drawn."""
        self.later("await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def open(self, picture: Image.Image | bytes, *, how: str = "open") -> Any:
        body = picture if isinstance(picture, bytes) else encoded(picture)
        return self.later(f"await editor.{how}(await fetched(arguments[0]))", self.put_up(body))

    def compare(self, variant: Image.Image, *, split: float | None = None) -> None:
        self.later(
            "await (async () => {"
            "const image = await createImageBitmap(await fetched(arguments[0]));"
            "editor.compare = {image, split: arguments[1]};"
            "})()",
            self.put_up(encoded(variant)),
            split,
        )

    def put_up(self, body: bytes) -> str:
        path = f"/picture/{len(_Files.pictures)}"
        _Files.pictures[path] = body
        return path

    def mask_file(self) -> bytes:
        return base64.b64decode(self.later("await toBase64(await editor.maskBlob())"))

    def mask(self) -> Mask:
        """(H, W): what a server would get."""
        with Image.open(io.BytesIO(self.mask_file())) as image:
            assert image.mode == "L"
            return np.asarray(image)

    def cpu_s(self) -> float:
        """What all the browser's processes have computed so far."""
        total = 0.0
        for process in psutil.Process(self.browser.service.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def on_screen(self, x: float, y: float) -> Point:
        """Where in the window a point of the picture is."""
        at = self.js(
            "const { view, stage, host } = editor, p = view.toScreen(arguments[0], arguments[1]);"
            "const box = host.getBoundingClientRect();"
            "return [box.left + p.x / stage.ratio, box.top + p.y / stage.ratio]",
            x,
            y,
        )
        return (at[0], at[1])

    def shot(self, name: str) -> Path:
        self.frame()
        path = self.folder / f"{name}.png"
        self.browser.save_screenshot(str(path))
        return path

    # Hands

    def mouse(self, kind: str, at: Point, **how: object) -> None:
        """mousePressed, mouseMoved, mouseReleased or mouseWheel, as the browser's protocol has them."""
        if kind in {"mousePressed", "mouseReleased"}:
            how["clickCount"] = 1
        self.browser.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": kind, "x": at[0], "y": at[1], **how})

    def drag(self, points: Sequence[Point], *, button: str = "left", modifiers: int = 0) -> None:
        """Press at the first point of the picture, pass through the others, let go at the last."""
        held = {"left": 1, "right": 2, "middle": 4}[button]
        places = [self.on_screen(*point) for point in points]
        self.mouse("mouseMoved", places[0])
        self.mouse("mousePressed", places[0], button=button, buttons=held, modifiers=modifiers)
        for place in places[1:]:
            self.mouse("mouseMoved", place, button=button, buttons=held, modifiers=modifiers)
        self.mouse("mouseReleased", places[-1], button=button, modifiers=modifiers)

    def click(self, point: Point, **how: Any) -> None:
        self.drag([point], **how)

    def touch(self, kind: str, *places: Point) -> None:
        """Fingers at places of the window: touchStart, touchMove, touchEnd."""
        points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(places)]
        self.browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def wheel(self, at: Point, delta: float) -> None:
        self.mouse("mouseWheel", at, deltaX=0, deltaY=delta)

    def key(self, key: str, *, modifiers: int = 0, kinds: Sequence[str] = ("keyDown", "keyUp")) -> None:
        text = {"text": key} if len(key) == 1 and not modifiers & CTRL else {}
        for kind in kinds:
            more = text if kind == "keyDown" else {}
            event = {"type": kind if text or kind == "keyUp" else "rawKeyDown", "key": key, "modifiers": modifiers}
            self.browser.execute_cdp_cmd("Input.dispatchKeyEvent", {**event, **more})


@functools.cache
def square() -> bytes:
    """A small picture of 200 pixels a side."""
    return encoded(photograph(200, 200))
