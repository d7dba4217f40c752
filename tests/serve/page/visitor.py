"""Somebody who uses the page: finds things by what is written on them, and acts with real input events."""

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from selenium import webdriver
from selenium.common.exceptions import (
    NoAlertPresentException,
    NoSuchElementException,
    StaleElementReferenceException,
    TimeoutException,
)
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

RESOURCE = "Failed to load resource"
TIMEOUT_S = 60.0
NOT_YET = (NoAlertPresentException, NoSuchElementException, StaleElementReferenceException, StopIteration)
"""What the page says while it is drawn anew."""

Point = tuple[float, float]


@dataclass
class Visitor:
    """A person at a browser; `folder` takes downloads and holds files to open."""

    browser: webdriver.Chrome
    url: str
    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.folder))
        self.visit()

    def visit(self) -> None:
        self.browser.get(self.url)
        self.until(lambda: self.js("return document.querySelector('#num_images_per_prompt option') !== null"))

    def cdp(self, command: str, **arguments: Any) -> Any:
        return self.browser.execute_cdp_cmd(command, arguments)

    def js(self, code: str, *arguments: object) -> Any:
        return self.browser.execute_script(code, *arguments)

    def until(self, claim: Callable[[], Any], what: str = "") -> Any:
        """Wait for something that the page brings about."""
        waiting = WebDriverWait(self.browser, TIMEOUT_S, 0.05, ignored_exceptions=NOT_YET)
        try:
            return waiting.until(lambda _: claim())
        except TimeoutException:
            raise AssertionError(f"it did not come about: {what}\n{self.seen}") from None

    def forgive(self) -> None:
        """Take what the browser itself notes of answers that are refusals; nothing else may be there."""
        assert all(RESOURCE in error for error in self.errors())

    # Finding

    @property
    def told(self) -> str:
        """The words of the notice at the top, "" where there is none."""
        return str(self.js("return document.querySelector('[role=alert]')?.innerText ?? ''"))

    @property
    def seen(self) -> str:
        return self.browser.find_element(By.TAG_NAME, "body").text

    def button(self, name: str) -> WebElement:
        found = f'//*[self::button or self::summary][normalize-space(.)="{name}" or @aria-label="{name}"]'
        return next(one for one in self.browser.find_elements(By.XPATH, found) if one.is_displayed())

    def has_button(self, name: str) -> bool:
        found = f'//button[normalize-space(.)="{name}" or @aria-label="{name}"]'
        return any(one.is_displayed() for one in self.browser.find_elements(By.XPATH, found))

    def field(self, label: str) -> WebElement:
        labels = self.browser.find_elements(By.XPATH, f'//label[normalize-space(.)="{label}"]')
        return self.browser.find_element(By.ID, labels[0].get_attribute("for") or "")

    # Acting

    def press(self, name: str) -> None:
        self.until(lambda: self.has_button(name) and self.button(name).is_enabled(), f"button {name}")
        self.button(name).click()

    def unfold(self, name: str) -> None:
        self.browser.find_element(By.XPATH, f'//summary[normalize-space(.)="{name}"]').click()

    def write(self, label: str, text: str) -> None:
        """Write into a field; what the driver cannot type (emoji) is inserted as a paste would."""
        field = self.field(label)
        field.clear()
        field.click()
        self.cdp("Input.insertText", text=text)
        self.js("arguments[0].dispatchEvent(new Event('change', {bubbles: true}))", field)

    def choose(self, label: str, option: str) -> None:
        found = self.browser.find_element(
            By.XPATH, f'//select[@aria-label="{label}"] | //*[@id=//label[.="{label}"]/@for]'
        )
        found.find_element(By.XPATH, f'.//option[normalize-space(.)="{option}"]').click()

    def open_file(self, path: Path) -> None:
        self.field("Picture").send_keys(str(path))

    def open(self, image: Image.Image, name: str = "picture.png", **options: Any) -> Path:
        """Open a picture by its file, and wait until it is there."""
        path = self.folder / name
        image.save(path, **options)
        self.open_file(path)
        self.until(lambda: name in self.seen, f"the picture {name}")
        return path

    def key(self, key: str, *, modifiers: int = 0, kind: str = "both") -> None:
        text = {"text": key} if len(key) == 1 and not modifiers else {}
        more = {"key": key, "modifiers": modifiers, **text}
        if kind in ("both", "down"):
            self.cdp("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **more)
        if kind in ("both", "up"):
            self.cdp("Input.dispatchKeyEvent", type="keyUp", key=key, modifiers=modifiers)

    def place(self, x: float, y: float) -> Point:
        """Where in the window a share of the stage is: (0.5, 0.5) is its middle."""
        box = self.js(
            "const stage = document.querySelector('[role=application]'); stage.scrollIntoViewIfNeeded();"
            "return stage.getBoundingClientRect().toJSON()"
        )
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def mouse(self, kind: str, at: Point, *, buttons: int = 0) -> None:
        pressed: dict[str, Any] = (
            {} if kind == "mouseMoved" and not buttons else {"button": "left", "clickCount": 1}
        )
        self.cdp("Input.dispatchMouseEvent", type=kind, x=at[0], y=at[1], buttons=buttons, **pressed)

    def stroke(self, *points: Point) -> None:
        """Draw over the stage, through shares of it."""
        places = [self.place(*point) for point in points]
        self.mouse("mouseMoved", places[0])
        self.mouse("mousePressed", places[0], buttons=1)
        for place in places:
            self.mouse("mouseMoved", place, buttons=1)
        self.mouse("mouseReleased", places[-1])

    def paint(self) -> None:
        """Mark a good part of the middle."""
        self.press("Brush")
        self.stroke((0.45, 0.45), (0.55, 0.45), (0.55, 0.55), (0.45, 0.55), (0.5, 0.5))
        self.until(lambda: "will be repainted" in self.seen, "a mask")

    def repaint(self, **fields: str) -> None:
        """Have it done, quickly, and wait for the variants."""
        self.ask(**fields)
        self.until_done()

    def ask(self, *, steps: str = "2", variants: str = "1", prompt: str = "a red apple", seed: str = "7") -> None:
        self.write("What shall be there?", prompt)
        if not self.field("Steps").is_displayed():
            self.unfold("Settings")
        self.write("Steps", steps)
        self.write("Seed", seed)
        self.choose("Variants", variants)
        self.press("Repaint")

    def until_done(self) -> None:
        self.until(lambda: self.has_button("Use this picture") or self.told, "variants")
        assert self.has_button("Use this picture"), self.told

    def download(self, name: str, by: str = "Download") -> bytes:
        """Press a button, and return the file that it saves."""
        path = self.folder / name
        path.unlink(missing_ok=True)
        self.press(by)

        # The browser reserves the name with an empty file first.
        def is_written() -> bool:
            return path.exists() and path.stat().st_size > 0

        self.until(is_written, f"the file {name} among {[one.name for one in self.folder.iterdir()]}")
        return path.read_bytes()

    def mask(self, name: str = "picture-mask.png") -> NDArray[np.uint8]:
        return pixels(self.download(name, "Save the mask"))

    def drop(self, path: Path) -> None:
        at = dict(zip("xy", self.place(0.5, 0.5), strict=True))
        data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.cdp("Input.dispatchDragEvent", type=kind, data=data, **at)

    def errors(self) -> Sequence[str]:
        """Take what the console holds; the fixture fails on what is left there."""
        return [entry["message"] for entry in self.browser.get_log("browser") if entry["level"] == "SEVERE"]

    def screenshot(self) -> Image.Image:
        shot = self.cdp("Page.captureScreenshot", format="png")
        return Image.open(io.BytesIO(base64.b64decode(shot["data"])))


def pixels(data: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)
