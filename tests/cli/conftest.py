from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.factories import make_checkpoint
from tests.safety.azure.service import KEY, ContentSafetyService, running
from typer.testing import CliRunner, Result

from retouch.cli.main import app

SIDE = 32


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random checkpoint; its native size is 32 px."""
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with `in.png` and `mask.png` of 32 px."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("in.png")
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[8:24, 8:24] = 255
    Image.fromarray(mask).save("mask.png")
    return tmp_path


@pytest.fixture
def run(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run a command line in this process, with the tiny checkpoint as the model."""
    monkeypatch.setenv("RETOUCH_MODEL", str(checkpoint))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def invoke(*args: str, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(app, list(args), input=stdin)

    return invoke


FILL = ("--image", "in.png", "--mask", "mask.png", "--prompt", "a red apple", "--steps", "2", "--seed", "7")
"""Options of a quick fill; `--output` is missing."""


@pytest.fixture
def fill(folder: Path, run: Callable[..., Result]) -> Callable[..., Result]:
    """Run `retouch inpaint` on the folder's pictures, with more options."""

    def invoke(*args: str, stdin: bytes | None = None) -> Result:
        return run("inpaint", *FILL, *args, stdin=stdin)

    return invoke


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[ContentSafetyService]:
    """A content safety service that the environment names."""
    monkeypatch.delenv("UAI_CLIENT_ID", raising=False)
    with running() as service:
        monkeypatch.setenv("CONTENT_SAFETY_ENDPOINT", service.endpoint)
        monkeypatch.setenv("CONTENT_SAFETY_KEY", KEY)
        yield service
