import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import Result

Run = Callable[..., Result]


@pytest.fixture
def saved(fill: Run) -> Path:
    """A result of seed 7."""
    assert fill("-o", "out.png").exit_code == 0
    return Path("out.png")


@pytest.mark.parametrize("original", [(), ("--image", "in.png")])
def test_a_result_comes_out_identical(saved: Path, run: Run, original: tuple[str, ...]) -> None:
    done = run("replay", str(saved), *original, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"is_identical": True, "max_difference": 0.0, "notes": []}


def test_a_picture_that_was_touched_is_told_and_exits_with_1(saved: Path, run: Run) -> None:
    with Image.open(saved) as image:
        pixels, text = np.array(image), dict(image.text)  # type: ignore[attr-defined]
    pixels[16, 16] ^= 1
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for key, value in text.items():
        info.add_itxt(key, value)
    Image.fromarray(pixels).save("touched.png", pnginfo=info)
    done = run("replay", "touched.png", "--image", "in.png")
    assert done.exit_code == 1
    assert "different" in done.stderr


def test_the_new_picture_is_written_when_asked(saved: Path, run: Run) -> None:
    assert run("replay", str(saved), "--output", "again.png").exit_code == 0
    assert np.array_equal(np.asarray(Image.open("again.png")), np.asarray(Image.open(saved)))


def test_the_result_itself_is_not_replaced(saved: Path, run: Run) -> None:
    assert run("replay", str(saved), "--output", str(saved)).exit_code == 2


@pytest.mark.parametrize("name", ["in.png", "missing.png"])
def test_a_picture_without_a_record_exits_with_2(saved: Path, run: Run, name: str) -> None:
    done = run("replay", name)
    assert done.exit_code == 2
    assert "Traceback" not in done.output


def test_the_record_never_makes_us_download(saved: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RETOUCH_MODEL")
    done = run("replay", str(saved))
    assert done.exit_code == 2
    assert "checkpoint" in done.stderr


def test_precision_and_threads_are_taken_from_the_record(folder: Path, fill: Run, run: Run) -> None:
    before = torch.get_num_threads()
    try:
        assert fill("-o", "out.png", "--dtype", "bf16", "--threads", "1").exit_code == 0
        torch.set_num_threads(2)
        same = run("replay", "out.png", "--json")
        other = run("replay", "out.png", "--dtype", "fp32", "--json")
    finally:
        torch.set_num_threads(before)
    assert json.loads(same.stdout) == {"is_identical": True, "max_difference": 0.0, "notes": []}
    assert json.loads(other.stdout)["notes"] == ["dtype was torch.bfloat16, is torch.float32"]
