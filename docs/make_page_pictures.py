"""Draw the pictures of docs/page.md: `PYTHONPATH=src:. python docs/make_page_pictures.py` (needs Chromium)."""

import math
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from tests.serve.page.conftest import FLAGS
from tests.serve.page.visitor import Visitor
from tests.serve.serving import served

PICTURES = Path(__file__).parent / "pictures"
WIDTH, COLOURS = 880, 256


def main() -> None:
    options = Options()
    options.binary_location = shutil.which("chromium") or ""
    for flag in FLAGS:
        options.add_argument(flag)
    with tempfile.TemporaryDirectory() as folder, served() as running:
        browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        try:
            draw(Visitor(browser, running.url, Path(folder) / "files"))
        finally:
            browser.quit()


def draw(visitor: Visitor) -> None:
    """Use the page from the beginning to the end, and keep what it looks like."""
    window(visitor, 1280, 800)
    keep(visitor, "empty")
    visitor.press("Try the sample")
    visitor.until(lambda: "will be repainted" in visitor.seen)
    visitor.press("Clear")
    visitor.js(
        "const size = document.getElementById('brush-size'); size.value = 60;"
        "size.dispatchEvent(new Event('input'))"
    )
    turns = [12 * part / 60 for part in range(61)]
    visitor.stroke(*((0.735 + 0.0046 * t * math.cos(t), 0.6 + 0.007 * t * math.sin(t)) for t in turns))
    keep(visitor, "painting")
    visitor.ask(steps="20", variants="4")
    visitor.unfold("Settings")
    visitor.until(lambda: visitor.js("return document.querySelector('progress').value") > 0.2)
    keep(visitor, "working")
    visitor.until_done()
    visitor.js("document.querySelector('.side').scrollTo(0, 0)")
    keep(visitor, "result")
    visitor.press("Before / after")
    visitor.js("document.querySelector('[role=slider]').focus()")
    for _ in range(12):
        visitor.key("ArrowRight")
    keep(visitor, "compare")
    visitor.press("Before / after")
    window(visitor, 360, 740)
    keep(visitor, "phone")
    window(visitor, 1280, 800)
    visitor.press("Use this picture")
    visitor.until(lambda: not visitor.has_button("Use this picture"))
    visitor.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    keep(visitor, "dark")


def window(visitor: Visitor, width: int, height: int) -> None:
    visitor.cdp(
        "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
    )


def keep(visitor: Visitor, name: str) -> None:
    """Write the window as a small PNG, once everything asked for is drawn."""
    visitor.browser.execute_async_script("const done = arguments[0]; setTimeout(done, 800)")
    shot = visitor.screenshot().convert("RGB")
    if shot.width > WIDTH:
        shot = shot.resize((WIDTH, shot.height * WIDTH // shot.width), Image.Resampling.LANCZOS)
    shot.quantize(COLOURS, method=Image.Quantize.FASTOCTREE).save(PICTURES / f"page-{name}.png", optimize=True)


if __name__ == "__main__":
    main()
