"""What can be refused without a model is refused before its libraries are imported."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

DRIVER = """
import json, sys, time
from retouch.cli.main import app
try:
    app(sys.argv[1:])
except SystemExit as done:
    heavy = [name for name in ("torch", "diffusers", "transformers") if name in sys.modules]
    print(json.dumps({"code": done.code, "heavy": heavy, "cpu_s": time.process_time()}))
"""
WRONG = {
    "an empty mask": ["--mask", "empty.png"],
    "a mask of another size": ["--mask", "large.png"],
    "no mask": [],
    "no mask of this polarity": ["--mask", "mask.png", "--mask-polarity", "transparent"],
    "a number out of range": ["--mask", "mask.png", "--steps", "0"],
    "no number": ["--mask", "mask.png", "--steps", "abc"],
    "no such option": ["--mask", "mask.png", "--stpes", "3"],
    "no such choice": ["--mask", "mask.png", "--region", "here"],
    "no such sampler": ["--mask", "mask.png", "--scheduler", "Eulr"],
    "no such model": ["--mask", "mask.png", "--model", "no/such/folder"],
    "a folder without a model": ["--mask", "mask.png", "--model", "."],
    "a model of another family": ["--mask", "mask.png", "--model", "other"],
}


@pytest.mark.parametrize("options", WRONG.values(), ids=WRONG)
def test_a_refusal_loads_no_heavy_library_and_takes_under_two_seconds(options: list[str], tmp_path: Path) -> None:
    for name, side, value in (("in", 32, 90), ("empty", 32, 0), ("mask", 32, 255), ("large", 64, 255)):
        Image.new("L", (side, side), value).save(tmp_path / f"{name}.png")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    command = ["inpaint", "-i", "in.png", "-p", "a cat", "-o", "out.png", "--offline", *options]
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, *command], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    report = json.loads(done.stdout)
    assert report["code"] == 2, done.stderr
    assert "rror: " in done.stderr
    assert report["heavy"] == []
    # Seconds of the processor, not of the clock: other work on the machine must not decide.
    assert report["cpu_s"] < 2.0
