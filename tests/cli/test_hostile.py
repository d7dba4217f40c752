"""Every hostile picture, through the command line: refused in time, in words, and within memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from tests.imaging.hostile import hostile_files

MOST_MEMORY_BYTES = 2**30
MOST_SECONDS = 10.0

# Runs in a process of its own: its peak memory is that of these commands alone.
DRIVER = """
import json, resource, sys, time
from typer.testing import CliRunner
from retouch.cli.main import app
import retouch.imaging.decode

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

option, *paths = sys.argv[1:]
idle, answers = peak(), []
for path in paths:
    start = time.process_time()
    args = {"--image": "good.png", "--mask": "good.png"} | {option: path}
    flat = [word for pair in args.items() for word in pair]
    done = CliRunner().invoke(app, ["inpaint", *flat, "--prompt", "a cat", "--output", "out.png"])
    answers.append([path, done.exit_code, done.stderr, time.process_time() - start])
json.dump({"growth": peak() - idle, "torch": "torch" in sys.modules, "answers": answers}, sys.stdout)
"""


@pytest.mark.parametrize("option", ["--image", pytest.param("--mask", marks=pytest.mark.slow)])
def test_hostile_files_are_refused_in_words_in_time_and_within_memory(option: str, tmp_path: Path) -> None:
    pytest.importorskip("resource")
    files = hostile_files(tmp_path)
    assert len(files) >= 40
    Image.new("L", (8, 8), 255).save(tmp_path / "good.png")
    command = [sys.executable, "-c", DRIVER, option, *(str(path) for path, _ in files.values())]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path, timeout=200)
    report = json.loads(done.stdout)
    for path, code, stderr, seconds in report["answers"]:
        assert code == 2, (path, code, stderr)
        assert stderr.startswith(f"error: {option.replace('mask', 'mask-image')} {path}: "), (path, stderr)
        assert "Traceback" not in stderr, (path, stderr)
        assert seconds < MOST_SECONDS, (path, seconds)
    assert report["growth"] < MOST_MEMORY_BYTES
    assert not report["torch"], "a file that cannot be used must be refused before the model is loaded"
    assert not (tmp_path / "out.png").exists()
