"""A browser for tests of the page: Chromium without a window, fresh for every test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from tests.serve.page.bench import EditorBench, serving_editor, square
from tests.serve.page.visitor import Visitor
from tests.serve.serving import Served, served

CHROMIUM = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--window-size=1280,800",
)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    """Chromium with a profile of its own; an error on its console fails the test."""
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("no Chromium here: apt-get install chromium chromium-driver")
    options = Options()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield driver
        errors = [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
        assert not errors, "\n".join(errors)
    finally:
        driver.quit()


@pytest.fixture(scope="session")
def editor_url() -> Iterator[str]:
    """A page with nothing but the editor."""
    with serving_editor() as url:
        yield url


@pytest.fixture
def bench(browser: webdriver.Chrome, editor_url: str, tmp_path: Path) -> EditorBench:
    """The editor alone in the browser, with hands to use it."""
    return EditorBench(browser, editor_url, tmp_path)


@pytest.fixture
def opened(bench: EditorBench) -> EditorBench:
    """The editor with a small picture, a hard brush and the keyboard's focus."""
    bench.open(square())
    bench.js("editor.brush = {size_px: 20, softness: 0}; editor.host.focus()")
    return bench


@pytest.fixture(scope="session")
def pocket_page() -> Iterator[Served]:
    """A server of the embedded model, with the page."""
    with served() as running:
        yield running


@pytest.fixture
def visitor(browser: webdriver.Chrome, pocket_page: Served, tmp_path: Path) -> Visitor:
    """Somebody who has just opened the page."""
    return Visitor(browser, pocket_page.url, tmp_path / "files")
