"""Workers sleep while other work wants the processors, and only then."""

import os
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from retouch.engine import yielding
from retouch.engine.workers import gnu_runtime, release_workers
from retouch.engine.yielding import Decision, Waits, Watch, hold_idle_team

TASKS = Path("/proc/self/task")


def tasks() -> set[str]:
    return {task.name for task in TASKS.iterdir()}


def write(folder: Path, name: str, waited_s: float) -> None:
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "schedstat").write_text(f"123 {round(waited_s * 1e9)} 7\n")


def test_the_share_is_what_all_threads_waited_since_the_last_look(tmp_path: Path) -> None:
    now = 10.0
    waits = Waits(tmp_path, lambda: now)
    write(tmp_path, "1", 100.0)
    write(tmp_path, "2", 5.0)
    now = 11.0
    assert waits.share() == 0.0  # what they waited before is nobody's business
    write(tmp_path, "1", 100.25)
    write(tmp_path, "2", 5.5)
    write(tmp_path, "3", 9.0)
    now = 13.0
    assert waits.share() == pytest.approx(0.375)


def test_a_system_that_counts_nothing_looks_quiet(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "schedstat").write_text("nothing")
    assert Waits(tmp_path).share() == Waits(tmp_path / "missing").share() == 0.0


def test_workers_sleep_at_the_first_sign_and_spin_again_after_a_while_of_calm() -> None:
    decision, seen = Decision(), []
    for share in [0.1, 0.19, 0.3, *[0.01] * 9, 0.1, *[0.01] * 10, 0.1]:
        decision.see(share)
        seen.append(decision.should_sleep)
    assert seen == [False, False, *[True] * 20, False, False]


@pytest.mark.skipif(not sys.platform.startswith("linux") or gnu_runtime() is None, reason="another runtime")
def test_an_idle_team_outnumbers_the_processors_and_goes_as_it_came() -> None:
    release_workers()
    before = tasks()
    hold_idle_team()
    assert len(tasks() - before) == len(os.sched_getaffinity(0))
    release_workers()
    assert tasks() <= before


@pytest.mark.skipif(not sys.platform.startswith("linux") or gnu_runtime() is None, reason="another runtime")
def test_the_watch_holds_the_team_while_it_is_busy_and_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(yielding, "_LOOK_S", 0.001)
    monkeypatch.setattr(yielding, "_LINGER_S", 0.0)
    monkeypatch.setattr(yielding.Waits, "share", lambda _self: 1.0)
    before = tasks()
    watch = Watch()
    watch.begin()
    most, deadline = 0, time.monotonic() + 10
    while most <= len(os.sched_getaffinity(0)) and time.monotonic() < deadline:
        most = max(most, len(tasks() - before))
    watch.end()
    for thread in threading.enumerate():
        if thread.name == "retouch-watch":
            thread.join(10)
    assert most > len(os.sched_getaffinity(0))  # its own, and the team's
    assert tasks() <= before


def test_a_block_computes_the_same_numbers() -> None:
    x = torch.randn(256, 256, generator=torch.Generator().manual_seed(0))
    with yielding.yielding():
        assert torch.equal(x @ x, x @ x)
