"""Checkpoints: the newest, some before it, and what happens when one is broken."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from retouch.errors import InvalidField, ModelError
from retouch.train.history import History, check_same
from retouch.train.storage import load_state

KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
import torch
from retouch.train.history import History

def write_half(state, file):
    file.write(b"PK half of a checkpoint")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)

history = History(Path(sys.argv[1]), keep=2)
history.save({"phase": 0, "step": 1})
torch.save = write_half
history.save({"phase": 0, "step": 2})
"""


def state(step: int, phase: int = 0) -> dict[str, Any]:
    return {"phase": phase, "step": step, "model": torch.full((3,), float(step))}


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_as_many_as_wanted_are_kept_the_newest_under_its_own_name(tmp_path: Path) -> None:
    history = History(tmp_path, keep=3)
    for phase, step in ((0, 5), (0, 10), (1, 3), (1, 6)):
        history.save(state(step, phase))
    assert names(tmp_path) == ["checkpoint-00-000000010.pt", "checkpoint-01-000000003.pt", "checkpoint.pt"]
    assert [load_state(tmp_path / name)["step"] for name in names(tmp_path)] == [10, 3, 6]


def test_one_alone_is_kept_where_no_history_is_wanted(tmp_path: Path) -> None:
    for step in range(3):
        History(tmp_path, keep=1).save(state(step))
    assert names(tmp_path) == ["checkpoint.pt"]


def test_saving_twice_at_the_same_step_keeps_one(tmp_path: Path) -> None:
    history = History(tmp_path, keep=3)
    for step in (1, 2, 2):
        history.save(state(step))
    assert names(tmp_path) == ["checkpoint-00-000000001.pt", "checkpoint.pt"]


def test_folder_without_checkpoints_has_none(tmp_path: Path) -> None:
    assert History(tmp_path / "new").load() is None


@pytest.mark.parametrize("damage", [b"", b"PK nonsense", None])
def test_a_broken_checkpoint_gives_way_to_the_one_before(tmp_path: Path, damage: bytes | None) -> None:
    history = History(tmp_path, keep=2)
    for step in (1, 2):
        history.save(state(step))
    whole = (tmp_path / "checkpoint.pt").read_bytes()
    (tmp_path / "checkpoint.pt").write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    found = history.load()
    assert found is not None
    assert found["step"] == 1
    history.save(state(3))  # the broken one is not kept
    assert names(tmp_path) == ["checkpoint-00-000000001.pt", "checkpoint.pt"]


def test_broken_checkpoints_alone_are_an_error_and_no_new_beginning(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"nonsense")
    with pytest.raises(ModelError, match="can be read"):
        History(tmp_path).load()


def test_a_kill_while_writing_leaves_the_last_whole_checkpoint(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, tmp_path], check=False)
    assert done.returncode == -signal.SIGKILL
    found = History(tmp_path).load()
    assert found is not None
    assert found["step"] == 1
    History(tmp_path, keep=2).save(state(2))
    assert not list(tmp_path.glob("*.part"))


def test_a_file_system_without_links_keeps_a_history_too(tmp_path: Path, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    for step in (1, 2):
        History(tmp_path, keep=2).save(state(step))
    assert [load_state(tmp_path / name)["step"] for name in names(tmp_path)] == [1, 2]


def test_loading_takes_no_memory_of_its_own(tmp_path: Path) -> None:
    History(tmp_path).save({"phase": 0, "step": 0, "model": torch.zeros(2**24)})
    before = _anonymous_bytes()
    found = History(tmp_path).load()
    assert found is not None
    assert float(found["model"].sum()) == 0.0
    assert _anonymous_bytes() - before < 2**24


def _anonymous_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) * 1024


def test_a_difference_is_named_with_both_values() -> None:
    check_same({"seed": 1, "gone": 2}, {"seed": 1, "new": 3})
    with pytest.raises(InvalidField, match=r"seed.*made with 1, the recipe says 2"):
        check_same({"seed": 1}, {"seed": 2})
