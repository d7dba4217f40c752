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
from retouch.engine.yielding import Watch, hold_idle_team, threads_now

TASKS = Path("/proc/self/task")
on_gnu = pytest.mark.skipif(
    not sys.platform.startswith("linux") or gnu_runtime() is None, reason="another runtime"
)


def tasks() -> set[str]:
    return {task.name for task in TASKS.iterdir()}


def wait_for_watches() -> None:
    for thread in threading.enumerate():
        if thread.name == "retouch-watch":
            thread.join(10)


@on_gnu
def test_an_idle_team_outnumbers_the_processors_and_goes_as_it_came() -> None:
    release_workers()
    before = tasks()
    hold_idle_team()
    assert len(tasks() - before) == len(os.sched_getaffinity(0))
    release_workers()
    assert tasks() <= before


@on_gnu
def test_the_watch_holds_the_team_while_it_is_busy_and_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(yielding, "_LOOK_S", 0.001)
    monkeypatch.setattr(yielding, "_LINGER_S", 0.0)
    monkeypatch.setattr(yielding.Waits, "look", lambda _self: 1.0)
    monkeypatch.setattr(yielding.Others, "look", lambda _self: 1.0)
    before = tasks()
    watch = Watch()
    watch.begin()
    most, deadline = 0, time.monotonic() + 10
    while most <= len(os.sched_getaffinity(0)) and time.monotonic() < deadline:
        most = max(most, len(tasks() - before))
    watch.end()
    wait_for_watches()
    assert most > len(os.sched_getaffinity(0))  # its own, and the team's
    assert tasks() <= before
    assert watch.halvings > 0  # what it has seen last, the next call finds


def test_calls_want_as_many_threads_as_were_halved_but_never_none(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch()
    monkeypatch.setattr(yielding, "_watch", lambda _process: watch)
    assert [threads_now(most) for most in (1, 2, 7)] == [1, 2, 7]
    watch._decision.see(1.0, 1.0)
    assert [threads_now(most) for most in (1, 2, 7)] == [1, 1, 3]
    monkeypatch.setattr(yielding, "_watch", lambda _process: None)
    assert threads_now(2) == 2


def test_a_block_computes_the_same_numbers() -> None:
    x = torch.randn(256, 256, generator=torch.Generator().manual_seed(0))
    with yielding.yielding():
        assert torch.equal(x @ x, x @ x)
