"""A run in several processes: as many as pay, the weights of one, and all end together."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tests.train.conftest import PIXELS
from tests.train.photographs import write_photographs

from retouch.errors import InvalidField, ModelError
from retouch.train import processes
from retouch.train.config import TrainConfig
from retouch.train.processes import best_count, run_in_processes
from retouch.train.run import RunOptions, run_training
from retouch.train.storage import load_state

PATIENCE_S = 120


@pytest.fixture
def options(config: TrainConfig, tmp_path: Path) -> RunOptions:
    return RunOptions(config=config, run_dir=tmp_path / "run", cpu=True)


@pytest.mark.parametrize(("threads", "expected"), [(1, 1), (2, 2), (3, 2), (4, 4)])
def test_there_is_a_process_for_each_thread_that_can_have_as_many_rows(
    options: RunOptions, threads: int, expected: int
) -> None:
    torch.set_num_threads(threads)
    assert best_count(options) == expected  # steps have four rows


def test_a_large_model_has_one_process(options: RunOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(2)
    monkeypatch.setattr(processes, "SMALL_UNET_PARAMETERS", 1000)
    assert best_count(options) == 1


def test_what_another_launcher_has_started_is_one_process(
    options: RunOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(2)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert best_count(options) == 1


def test_two_processes_learn_what_one_learns(options: RunOptions, config: TrainConfig, tmp_path: Path) -> None:
    run_in_processes(options, 2)
    one = run_training(RunOptions(config=config, run_dir=tmp_path / "one", cpu=True)).state()
    two = load_state(options.run_dir / "checkpoint.pt")
    assert (two["phase"], two["step"]) == (1, 3)
    for name, weight in one["model"].items():
        torch.testing.assert_close(two["model"][name], weight, rtol=1e-3, atol=1e-4)


def test_what_a_process_raises_is_raised_here(options: RunOptions, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    log = options.config.log.model_copy(update={"publish": tmp_path / "mine"})
    config = options.config.model_copy(update={"log": log})
    with pytest.raises(InvalidField, match="is there already"):
        run_in_processes(RunOptions(config=config, run_dir=options.run_dir, cpu=True), 2)


def test_two_processes_encode_a_folder_together(recipe: dict[str, Any], tmp_path: Path) -> None:
    pictures = write_photographs(tmp_path / "pictures", 5)
    data = {
        "kind": "folder",
        "folder": str(pictures),
        "size": PIXELS,
        "pictures": {"cache": str(tmp_path / "cache")},
    }
    # Each micro-batch has a shape: so one process takes as many.
    recipe["phases"] = [{**recipe["phases"][1], "data": data, "micro_batch": 2}]
    config = TrainConfig.model_validate(recipe)
    run_in_processes(RunOptions(config=config, run_dir=tmp_path / "two", cpu=True), 2)
    encoded = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "cache").iterdir()}
    one = run_training(RunOptions(config=config, run_dir=tmp_path / "one", cpu=True)).state()
    assert {file.name: file.stat().st_mtime_ns for file in (tmp_path / "cache").iterdir()} == encoded
    two = load_state(tmp_path / "two" / "checkpoint.pt")
    for name, weight in one["model"].items():
        torch.testing.assert_close(two["model"][name], weight, rtol=1e-3, atol=1e-4)


class Command:
    """`retouch train run` of many steps, in two processes, seen to have begun."""

    def __init__(self, recipe: dict[str, Any], folder: Path) -> None:
        for phase in recipe["phases"]:
            phase["steps"] = 100_000
        (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
        self.run_dir = folder / "run"
        command = [sys.executable, "-m", "retouch.cli", "train", "run", folder / "recipe.yaml", "--cpu"]
        self.process = subprocess.Popen(
            [*command, "--run-dir", self.run_dir, "--processes", "2"],
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        deadline = time.monotonic() + PATIENCE_S
        while not (self.run_dir / "log.jsonl").exists() and time.monotonic() < deadline:
            time.sleep(0.1)

    def parts(self) -> list[int]:
        """The processes that train, the first one first."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]

    def end(self) -> tuple[int, str]:
        try:
            _, errors = self.process.communicate(timeout=PATIENCE_S)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.returncode, errors


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_signal_to_the_command_stops_all_with_their_state_saved(recipe: dict[str, Any], tmp_path: Path) -> None:
    command = Command(recipe, tmp_path)
    parts = command.parts()
    command.process.send_signal(signal.SIGTERM)
    code, errors = command.end()
    assert code == 0, errors
    assert load_state(command.run_dir / "checkpoint.pt")["step"] > 0
    assert len(parts) == 2
    assert not any(Path(f"/proc/{part}").exists() for part in parts)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ctrl_c_stops_all_with_their_state_saved(recipe: dict[str, Any], tmp_path: Path) -> None:
    command = Command(recipe, tmp_path)
    os.killpg(command.process.pid, signal.SIGINT)
    code, errors = command.end()
    assert code == 0, errors
    assert load_state(command.run_dir / "checkpoint.pt")["step"] > 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("rank", [0, 1])
def test_when_one_is_killed_the_command_ends_with_an_error(
    recipe: dict[str, Any], tmp_path: Path, rank: int
) -> None:
    command = Command(recipe, tmp_path)
    parts = command.parts()
    os.kill(parts[rank], signal.SIGKILL)
    code, errors = command.end()
    assert code == ModelError.exit_code
    assert "one of 2 training processes ended" in errors
    assert not any(Path(f"/proc/{part}").exists() for part in parts)
