import io
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retouch.cli.loading import Checkpoint
from retouch.cli.outcome import Outcome, write
from retouch.cli.outputs import Destination
from retouch.inpainter import Inpainter
from retouch.result import InpaintResult

SIDE = 32


@pytest.fixture(scope="module")
def inpainter(checkpoint: Path) -> Iterator[Inpainter]:
    with Checkpoint(model=str(checkpoint)).load() as loaded:
        yield loaded


@pytest.fixture(scope="module")
def result(inpainter: Inpainter) -> InpaintResult:
    pixels = np.random.default_rng(0).integers(0, 2**16, (SIDE, SIDE, 3), dtype=np.uint16)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[8:24, 8:24] = 255
    return inpainter("a cat", pixels, mask, seed=4, num_inference_steps=2, num_images_per_prompt=2)


def test_files_are_named_in_the_order_of_their_seeds(
    result: InpaintResult, inpainter: Inpainter, tmp_path: Path
) -> None:
    done = write(result, inpainter.bundle, Destination(tmp_path / "{seed}.png"), metadata=True)
    assert [path.name for path in done.files] == ["4.png", "5.png"]
    assert json.loads(done.to_json())["files"] == [str(path) for path in done.files]


def test_a_warning_of_every_file_is_told_once(result: InpaintResult, inpainter: Inpainter, tmp_path: Path) -> None:
    done = write(result, inpainter.bundle, Destination(tmp_path / "out.jpg"), metadata=True)
    assert len([text for text in done.warnings if "lossy" in text]) == 1
    assert done.to_text().count("warning: ") == len(done.warnings)


def test_stdout_keeps_sixteen_bits(
    result: InpaintResult, inpainter: Inpainter, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stdout:
        buffer = io.BytesIO()

    monkeypatch.setattr(sys, "stdout", Stdout())
    single = replace(result, fills=result.fills[:1])
    done = write(single, inpainter.bundle, Destination(Path("-")), metadata=False)
    header = Stdout.buffer.getvalue()[:29]
    assert header[:4] == b"\x89PNG"
    assert header[24] == 16  # bits a sample: byte 24 of a PNG
    assert done.files == ()
    assert done.to_text().startswith("stdout: seed 4")


def test_the_grid_shows_input_mask_and_every_output(
    result: InpaintResult, inpainter: Inpainter, tmp_path: Path
) -> None:
    write(result, inpainter.bundle, Destination(tmp_path / "o.png", grid=tmp_path / "grid.png"), metadata=True)
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.width > 4 * grid.height / 2


def test_a_changed_or_refused_picture_is_told_as_such(result: InpaintResult, inpainter: Inpainter) -> None:
    cases = {"KEPT PIXELS CHANGED": (False, False), "refused by the safety check": (True, None)}
    for text, (is_nsfw, is_identical) in cases.items():
        fill = replace(result.fills[0], nsfw_content_detected=is_nsfw, kept_pixels_identical=is_identical)
        told = Outcome(replace(result, fills=(fill,)), inpainter.bundle, (Path("a.png"),), None, ())
        assert told.to_text() == f"a.png: seed 4, {text}"
