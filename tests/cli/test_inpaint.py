import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import Result

Run = Callable[..., Result]


def pixels(path: str | Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def told(done: Result) -> dict[str, object]:
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_the_masked_part_changes_and_the_rest_stays(fill: Run) -> None:
    done = fill("-o", "out.png")
    assert done.exit_code == 0, done.stderr
    mask = pixels("mask.png") > 0
    assert np.array_equal(pixels("out.png")[~mask], pixels("in.png")[~mask])
    assert not np.array_equal(pixels("out.png")[mask], pixels("in.png")[mask])
    assert done.stdout == ""
    assert "out.png: seed 7, kept pixels identical" in done.stderr


def test_the_same_seed_is_the_same_picture(fill: Run) -> None:
    fill("-o", "one.png")
    fill("-o", "two.png")
    assert Path("one.png").read_bytes() == Path("two.png").read_bytes()


def test_variants_are_the_pictures_of_their_own_seeds(fill: Run) -> None:
    assert fill("-o", "out.png", "--num-images", "2").exit_code == 0
    assert fill("-o", "alone-{seed}.png", "--seed", "8").exit_code == 0
    assert np.array_equal(pixels("out-2.png"), pixels("alone-8.png"))


def test_json_is_one_object_on_stdout(fill: Run) -> None:
    done = fill("-o", "out.png", "--num-images", "2", "--grid", "grid.png", "--json")
    found = told(done)
    assert found["files"] == ["out.png", "out-2.png"]
    assert found["seeds"] == [7, 8]
    assert found["spoken_prompts"] == ["a red apple", "a red apple"]
    assert found["nsfw_content_detected"] == [False, False]
    assert found["kept_pixels_identical"] is True
    assert found["grid"] == "grid.png"
    assert found["mask_report"]["marked_pixels"] == 256  # type: ignore[index]
    assert found["model"]["kind"] == "concat"  # type: ignore[index]
    assert found["request"]["num_inference_steps"] == 2  # type: ignore[index]
    assert len(done.stdout.splitlines()) == 1
    assert Path("grid.png").exists()


def test_an_error_is_json_too_where_json_was_asked_for(fill: Run) -> None:
    done = fill("-o", "out.png", "--json", "--mask", "missing.png")
    assert done.exit_code == 2
    assert told(done)["error"]["code"] == "image_invalid"  # type: ignore[index]


def test_picture_comes_from_stdin_and_goes_to_stdout(fill: Run) -> None:
    fill("-o", "file.png")
    done = fill("-i", "-", "-o", "-", stdin=Path("in.png").read_bytes())
    assert done.exit_code == 0, done.stderr
    Path("piped.png").write_bytes(done.stdout_bytes)
    assert np.array_equal(pixels("piped.png"), pixels("file.png"))


def test_prompt_comes_from_stdin(fill: Run) -> None:
    done = fill("-p", "-", "-o", "out.png", "--json", stdin=b"a blue hat\n")
    assert told(done)["request"]["prompt"] == "a blue hat"  # type: ignore[index]


def test_stdin_is_refused_twice(fill: Run) -> None:
    done = fill("-p", "-", "-m", "-", "-o", "out.png", stdin=b"x")
    assert done.exit_code == 2
    assert "only one can be -" in done.stderr


def test_without_a_mask_the_transparent_part_is_repainted(folder: Path, run: Run) -> None:
    picture = Image.open("in.png")
    picture.putalpha(Image.fromarray(255 - pixels("mask.png")))
    picture.save("hole.png")
    done = run("inpaint", "-i", "hole.png", "-p", "a cat", "-o", "out.png", "--steps", "2", "--json")
    assert done.exit_code == 0, done.stderr
    assert told(done)["mask_report"]["polarity"] == "transparent"  # type: ignore[index]
    kept = pixels("mask.png") == 0
    assert np.array_equal(pixels("out.png")[kept][:, :3], pixels("in.png")[kept])


def test_without_mask_and_transparency_it_says_what_is_missing(folder: Path, run: Run) -> None:
    done = run("inpaint", "-i", "in.png", "-p", "a cat", "-o", "out.png")
    assert done.exit_code == 2
    assert "mask" in done.stderr


def test_black_polarity_is_the_inverted_mask(fill: Run) -> None:
    Image.fromarray(255 - pixels("mask.png")).save("inverted.png")
    fill("-o", "white.png")
    fill("-o", "black.png", "-m", "inverted.png", "--mask-polarity", "black")
    assert np.array_equal(pixels("white.png"), pixels("black.png"))


@pytest.mark.parametrize(
    "options",
    [
        ("--seed", "-1"),
        ("--steps", "0"),
        ("--steps", "many"),
        ("--strength", "-0.1"),
        ("--guidance-scale", "nan"),
        ("--mask-polarity", "red"),
        ("--scheduler", "no such"),
        ("--prompt-syntax", "compel"),
        ("--prompt-syntax", "a1111", "--negative-prompt", "<lora:style:1>"),
        ("--clip-skip", "9"),
        ("--num-images", "1000"),
        ("--image", "missing.png"),
        ("--image", "."),
        ("--mask", "big-mask.png"),
        ("--mask", "empty-mask.png"),
        ("--model", "no/such/model"),
        ("--device", "abacus"),
        ("--lora", "missing.safetensors"),
        ("--output", "out.xyz"),
        ("--output", "in.png"),
        ("--output", "mask.png/out.png"),
        ("--grid", "grid"),
        ("--output", "-", "--json"),
        ("--output", "-", "--num-images", "2"),
    ],
)
def test_bad_usage_exits_with_2_and_writes_nothing(fill: Run, folder: Path, options: tuple[str, ...]) -> None:
    Image.new("L", (64, 64), 255).save("big-mask.png")
    Image.new("L", (32, 32), 0).save("empty-mask.png")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    done = fill("-o", "out.png", *options)
    assert done.exit_code == 2, done.output
    assert "rror: " in done.stderr
    assert "Traceback" not in done.output
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_weights_are_read_where_asked(fill: Run) -> None:
    weighed = ("--prompt-syntax", "a1111", "-p", "a (red:1.5) apple")
    done = fill("-o", "one.png", "--json", *weighed)
    assert told(done)["request"]["prompt_syntax"] == "a1111"  # type: ignore[index]
    fill("-o", "two.png", "-p", "a red apple")
    assert not np.array_equal(pixels("one.png"), pixels("two.png"))


def test_a_prompt_that_cannot_be_read_is_told_before_the_model_is_loaded(fill: Run) -> None:
    done = fill(
        "-o", "out.png", "--prompt-syntax", "a1111", "-p", "a <lora:style:1> cat", "--model", "no/such/model"
    )
    assert done.exit_code == 2
    assert "loads a network" in done.stderr
    assert "--lora" in done.stderr


def test_bad_output_is_told_before_the_model_is_loaded(fill: Run) -> None:
    done = fill("-o", "out.xyz", "--model", "no/such/model")
    assert "xyz" in done.stderr


def test_input_may_be_replaced_when_asked(fill: Run) -> None:
    assert fill("-o", "in.png", "--overwrite").exit_code == 0


def test_a_blocked_prompt_exits_with_3_and_writes_nothing(fill: Run) -> None:
    done = fill("-o", "out.png", "-p", "explicit porn of a naked couple")
    assert done.exit_code == 3, done.output
    assert not Path("out.png").exists()


def test_no_metadata_leaves_the_prompt_out(fill: Run) -> None:
    fill("-o", "with.png")
    fill("-o", "without.png", "--no-metadata")
    assert b"red apple" in Path("with.png").read_bytes()
    assert b"red apple" not in Path("without.png").read_bytes()


def test_a_lossy_output_is_told(fill: Run) -> None:
    assert "lossy" in fill("-o", "out.jpg").stderr


def test_file_names_that_are_not_utf8_work(fill: Run, folder: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    try:
        shutil.copy("in.png", name)
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    done = fill("-i", name, "-o", os.fsdecode(b"out\xff.png"), "--json")
    assert done.exit_code == 0, done.stderr
    assert (folder / os.fsdecode(b"out\xff.png")).exists()
    assert told(done)["files"] == [os.fsdecode(b"out\xff.png")]


@pytest.mark.slow
def test_an_interrupt_ends_the_work_with_130_and_no_file(folder: Path, checkpoint: Path) -> None:
    # A test run in the background of a shell hands on that interrupts are ignored.
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    eager = (
        f"{heard}; import retouch.cli.progress as p; p.PLAIN_EVERY_S = 0; import retouch.cli.main as m; m.main()"
    )
    options = ["-i", "in.png", "-m", "mask.png", "-p", "a cat", "-o", "out.png", "--model", str(checkpoint)]
    command = [sys.executable, "-c", eager, "inpaint", *options, "--steps", "150", "--num-images", "16"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        # A line of progress tells that the work runs, so that the interrupt meets it there.
        assert any("step" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130, rest
    assert "interrupted" in rest
    assert "Traceback" not in rest
    assert not Path("out.png").exists()


def test_a_picture_too_long_for_the_output_is_refused_before_the_model_loads(folder: Path, run: Run) -> None:
    Image.new("L", (16_384, 16)).save("long.png")
    Image.new("L", (16_384, 16), 255).save("long-mask.png")
    arguments = ["inpaint", "-i", "long.png", "-m", "long-mask.png", "-p", "a cat", "--model", "no/such/folder"]
    done = run(*arguments, "-o", "out.webp")
    assert done.exit_code == 2
    assert "WEBP cannot hold a side of 16384 pixels" in done.stderr
    assert "no/such/folder" in run(*arguments, "-o", "out.png").stderr
