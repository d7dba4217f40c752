import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from typer.testing import Result

from retouch.models import locate

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


def _forge(path: Path, **changes: Any) -> str:
    """Write `forged.png`: the same pixels, a record with other entries; those of `model` are merged."""
    with Image.open(path) as image:
        pixels, record = np.array(image), json.loads(image.text["retouch"])  # type: ignore[attr-defined]
    record |= {key: record[key] | value if key in ("model", "device") else value for key, value in changes.items()}
    info = PngInfo()
    info.add_itxt("retouch", json.dumps(record))
    Image.fromarray(pixels).save("forged.png", pnginfo=info)
    return "forged.png"


@pytest.fixture
def embedded(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny checkpoint stands where the embedded one does, and no model is named."""
    package = tmp_path_factory.mktemp("package")
    (package / "pocket").symlink_to(checkpoint)
    monkeypatch.setattr(locate, "files", lambda _: package)
    return checkpoint


@pytest.mark.parametrize("name", ["pocket", "renamed", "org/name@main"])
def test_the_model_is_found_among_those_at_hand_by_its_hash(
    saved: Path, run: Run, embedded: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("RETOUCH_MODEL")
    done = run("replay", _forge(saved, model={"name": name}))
    assert done.exit_code == 0, done.output


def test_a_path_in_the_record_is_not_loaded(
    saved: Path, run: Run, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RETOUCH_MODEL")
    for name in (str(checkpoint), os.path.relpath(checkpoint), "~nosuchuser/x"):
        done = run("replay", _forge(saved, model={"name": name}))
        assert done.exit_code == 2, done.output
        assert "no checkpoint at hand" in done.stderr
        assert "--model" in done.stderr


def test_another_checkpoint_of_the_same_name_is_not_taken(
    saved: Path, run: Run, embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RETOUCH_MODEL")
    assert run("replay", _forge(saved, model={"name": "pocket", "hash": "0" * 64})).exit_code == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"hash": "\x1b]0;OWNED\x07"}},
        {"model": {"name": "a\nidentical"}},
        {"model": {"adapters": ["\x9b31m"]}},
        {"device": {"type": "\u202egnp.exe"}},
        {"request": {"scheduler": "\x1b[2J", "prompt": "a cat"}},
        {"format": "\x1b[2J"},
    ],
)
def test_a_record_writes_nothing_but_text_on_the_terminal(saved: Path, run: Run, changes: dict[str, Any]) -> None:
    done = run("replay", _forge(saved, **changes))
    assert done.exit_code == 2
    assert all(char.isprintable() or char == "\n" for char in done.output)


def test_more_rows_than_the_model_takes_are_not_run(saved: Path, run: Run) -> None:
    done = run("replay", _forge(saved, rows_per_call=256), "--json")
    assert "rows_per_call was 256, is 32" in json.loads(done.stdout)["notes"]


def test_a_picture_that_was_touched_is_told_and_exits_with_1(saved: Path, run: Run) -> None:
    with Image.open(saved) as image:
        pixels, text = np.array(image), dict(image.text)  # type: ignore[attr-defined]
    pixels[16, 16] ^= 1
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


def test_the_original_is_replaced_only_when_asked(saved: Path, run: Run) -> None:
    before = Path("in.png").read_bytes()
    command = ("replay", str(saved), "--image", "in.png", "--output", "in.png")
    done = run(*command)
    assert done.exit_code == 2
    assert "--overwrite" in done.stderr
    assert Path("in.png").read_bytes() == before
    assert run(*command, "--overwrite").exit_code == 0
    assert Path("in.png").read_bytes() != before


def test_the_new_picture_goes_to_stdout(saved: Path, run: Run) -> None:
    done = run("replay", str(saved), "--output", "-")
    assert done.exit_code == 0, done.output
    Path("piped.png").write_bytes(done.stdout_bytes)
    assert np.array_equal(np.asarray(Image.open("piped.png")), np.asarray(Image.open(saved)))


def test_the_new_picture_is_named_by_its_seed(saved: Path, run: Run) -> None:
    assert run("replay", str(saved), "--output", "again-{seed}.png").exit_code == 0
    assert Path("again-7.png").exists()


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
