"""Whatever fails, a person is told what to do about it, and nothing of theirs is lost."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from selenium import webdriver
from tests.serve.page.bench import encoded, photograph
from tests.serve.page.visitor import Visitor
from tests.serve.pictures import hole, png
from tests.serve.serving import Served, served, until

from retouch.errors import RetouchError
from retouch.safety.checkers import ViewChecker

pytestmark = pytest.mark.slow

KEY = "a-key-of-more-than-sixteen"


class RefusesEverything(ViewChecker):
    """Finds all pictures unsafe."""

    name, version, threshold, near = "all", "1", 0.5, 0.4

    def scores(self, views: Sequence[np.ndarray]) -> list[float]:
        return [1.0 for _ in views]


@contextmanager
def visiting(
    browser: webdriver.Chrome, folder: Path, model: Path | None = None, **settings: Any
) -> Iterator[tuple[Visitor, Served]]:
    with served(model, **settings) as running:
        yield Visitor(browser, running.url, folder / "files"), running


def ready(visitor: Visitor) -> None:
    visitor.open(photograph(96, 80))
    visitor.paint()


def test_without_a_mask_nothing_is_sent_and_the_way_out_is_told(visitor: Visitor) -> None:
    visitor.open(photograph(96, 80))
    visitor.press("Repaint")
    visitor.until(lambda: "Nothing is marked" in visitor.told)
    assert "Paint over what shall change" in visitor.told
    visitor.press("Close")
    visitor.until(lambda: visitor.told == "")


def test_what_is_no_picture_is_refused_and_the_picture_before_stays(visitor: Visitor) -> None:
    ready(visitor)
    path = visitor.folder / "words.png"
    path.write_text("not a picture")
    visitor.open_file(path)
    visitor.until(lambda: "cannot show the file" in visitor.told)
    assert "Open a PNG, JPEG" in visitor.told
    assert "picture.png" in visitor.seen


def test_a_mask_of_another_size_is_refused(visitor: Visitor) -> None:
    ready(visitor)
    path = visitor.folder / "mask.png"
    Image.new("L", (10, 10), 255).save(path)
    visitor.js("document.getElementById('mask-file').hidden = false")
    visitor.browser.find_element("id", "mask-file").send_keys(str(path))
    visitor.until(lambda: "another size" in visitor.told)
    assert "as many pixels" in visitor.told


def test_a_setting_out_of_range_is_not_sent(visitor: Visitor) -> None:
    ready(visitor)
    visitor.unfold("Settings")
    visitor.write("Steps", "9999")
    visitor.unfold("Settings")
    visitor.press("Repaint")
    visitor.until(lambda: visitor.field("Steps").is_displayed(), "the settings unfolded")
    assert visitor.js("return document.activeElement.id") == "field-num_inference_steps"
    assert visitor.has_button("Repaint")


def test_a_picture_over_the_servers_limits_says_what_they_are(
    browser: webdriver.Chrome, checkpoint: Path, tmp_path: Path
) -> None:
    with visiting(browser, tmp_path, checkpoint, image_pixels=1_000_000, image_bytes=200_000) as (visitor, _):
        ready(visitor)
        path = visitor.folder / "large.bmp"
        photograph(600, 500).save(path)
        visitor.open_file(path)
        visitor.until(lambda: "too large" in visitor.told)
        assert "up to 0 MiB" in visitor.told
        visitor.open(Image.new("RGB", (1200, 900)), "wide.png")
        visitor.paint()
        visitor.press("Repaint")
        visitor.until(lambda: "too large" in visitor.told)
        assert "1 megapixels" in visitor.told


def test_a_key_is_asked_for_kept_for_the_tab_and_asked_for_again_where_it_is_wrong(
    browser: webdriver.Chrome, checkpoint: Path, tmp_path: Path
) -> None:
    with served(checkpoint, api_keys=KEY, safety="off") as running:
        browser.get(running.url)
        visitor = Visitor.__new__(Visitor)
        visitor.browser, visitor.url, visitor.folder = browser, running.url, tmp_path / "files"
        visitor.until(lambda: "asks for a key" in visitor.seen)
        visitor.write("Key", "a-wrong-key-of-sixteen")
        visitor.press("Use this key")
        visitor.until(lambda: "does not know this key" in visitor.seen)
        visitor.write("Key", KEY)
        visitor.press("Use this key")
        visitor.__post_init__()
        ready(visitor)
        visitor.repaint()
        assert browser.execute_script("return sessionStorage.getItem('retouch.key')") == KEY
        assert KEY not in browser.execute_script("return JSON.stringify(localStorage)")
        visitor.forgive()


def test_who_gives_no_key_is_told_and_can_come_back_to_it(
    browser: webdriver.Chrome, checkpoint: Path, tmp_path: Path
) -> None:
    with served(checkpoint, api_keys=KEY, safety="off") as running:
        browser.get(running.url)
        visitor = Visitor.__new__(Visitor)
        visitor.browser, visitor.url, visitor.folder = browser, running.url, tmp_path / "files"
        visitor.press("Not now")
        visitor.until(lambda: "A key is needed" in visitor.told)
        visitor.forgive()


def test_a_refused_picture_is_explained_and_not_offered(
    browser: webdriver.Chrome, checkpoint: Path, tmp_path: Path
) -> None:
    with visiting(browser, tmp_path, checkpoint, checkers=[RefusesEverything()]) as (visitor, _):
        ready(visitor)
        visitor.ask()
        visitor.until(lambda: "The safety check refused this variant" in visitor.seen)
        assert "try another seed, or other words" in visitor.seen
        assert not visitor.has_button("Use this picture")
        assert not visitor.button("Download").is_enabled()
        assert visitor.has_button("Another seed")


def test_work_that_a_policy_ends_is_explained(browser: webdriver.Chrome, checkpoint: Path, tmp_path: Path) -> None:
    with visiting(browser, tmp_path, checkpoint, checkers=[RefusesEverything()], safety="error") as (visitor, _):
        ready(visitor)
        visitor.ask()
        visitor.until(lambda: "The safety check refused this" in visitor.told)
        assert "other words" in visitor.told
        assert visitor.has_button("Repaint")


def test_a_full_server_is_asked_again_and_the_work_is_done(browser: webdriver.Chrome, tmp_path: Path) -> None:
    with visiting(browser, tmp_path, max_queued_rows=1, safety="off") as (visitor, running):
        ready(visitor)
        files = {"image": encoded(photograph(64, 64)), "mask_image": png(hole(64, 64))}
        fields = {"prompt": "a cat", "num_inference_steps": "150"}
        with httpx.Client(base_url=running.url) as other:
            job = other.post("/v1/inpaint", data=fields, files=files, headers={"prefer": "respond-async"}).json()
            visitor.ask()
            visitor.until(lambda: "The server is full. It is asked again in" in visitor.seen)
            other.delete(job["url"])
        visitor.until_done()
        visitor.forgive()


def test_a_server_about_to_end_is_noticed(browser: webdriver.Chrome, checkpoint: Path, tmp_path: Path) -> None:
    with visiting(browser, tmp_path, checkpoint, safety="off") as (visitor, running):
        ready(visitor)
        running.service.drain()
        visitor.ask()
        visitor.until(lambda: "takes no new work" in visitor.told)
        visitor.press("Cancel")
        visitor.until(lambda: visitor.has_button("Repaint"))
        visitor.forgive()


@contextmanager
def process(port: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server in a process of its own, once it takes work."""
    command = [sys.executable, "-m", "retouch.cli", "serve", "--port", str(port), "--jobs-folder", str(folder)]
    running = subprocess.Popen([*command, "--safety", "off"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: is_ready(port), within_s=120)
        yield running
    finally:
        running.kill()
        running.wait(20)


def is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health/ready").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("ends_by", [signal.SIGKILL, signal.SIGTERM])
def test_work_goes_on_when_a_server_that_went_away_is_back(
    browser: webdriver.Chrome, tmp_path: Path, ends_by: signal.Signals
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    jobs = tmp_path / "jobs"
    with process(port, jobs) as first:
        visitor = Visitor(browser, f"http://127.0.0.1:{port}", tmp_path / "files")
        ready(visitor)
        visitor.ask(steps="100", variants="2")
        visitor.until(lambda: "Step " in visitor.seen)
        first.send_signal(ends_by)
        first.wait(60)
    visitor.until(lambda: "The server does not answer" in visitor.told)
    with process(port, jobs):
        visitor.until(lambda: "does not answer" not in visitor.told)
        visitor.until_done()
    visitor.forgive()


UNSEEN = {
    # of tables, files and addresses, of starting a server, of routes: the page has nothing to do with them
    *(
        "bad_input",
        "malformed_body",
        "unsupported_media",
        "url_refused",
        "url_failed",
        "bad_row",
        "batch_too_large",
    ),
    *("output_in_use", "output_differs", "missing_extra", "too_many_failures", "method_not_allowed"),
    *("model_error", "model_not_found", "model_unsafe", "model_unsupported"),
    # asked again by themselves
    *("queue_full", "rate_limited", "draining", "engine_closed", "unavailable", "source_unavailable"),
    # what a person has done themselves
    "cancelled",
}


def test_every_error_of_the_server_that_the_page_may_meet_has_words_of_its_own(visitor: Visitor) -> None:
    codes, waiting = set(), [RetouchError]
    while waiting:
        waiting += (known := waiting.pop()).__subclasses__()
        codes.add(known.code)
    told = visitor.js("return import('/static/texts.js').then((one) => Object.keys(one.texts.errors))")
    assert codes - UNSEEN - set(told) == set()
