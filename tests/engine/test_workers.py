"""OpenMP workers go while their thread only waits."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from retouch.engine.engine import Engine
from retouch.engine.plan import Plan
from retouch.engine.workers import on_threads, release_workers

TASKS = Path("/proc/self/task")

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or "OpenMP" not in torch.__config__.parallel_info(),
    reason="counts the threads of GNU's runtime through /proc",
)


@pytest.fixture(autouse=True)
def two_threads() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def threads() -> set[str]:
    return {task.name for task in TASKS.iterdir()}


def compute() -> torch.Tensor:
    return torch.ones(1 << 20).exp()


def test_a_released_worker_is_gone_and_comes_back_when_it_is_needed() -> None:
    release_workers()
    idle = threads()
    expected = compute()
    (worker,) = threads() - idle
    release_workers()
    assert worker not in threads()
    assert torch.equal(compute(), expected)
    assert len(threads() - idle) == 1
    release_workers()


def test_neither_who_submits_nor_an_idle_engine_keeps_workers(engine: Engine, plan: Callable[..., Plan]) -> None:
    engine.bundle.tokenizer(["a hat", "a dog"])  # from now on the tokenizers' library has threads of its own
    release_workers()
    idle = threads()
    compute()
    assert threads() - idle
    future = engine.submit(plan(0, height=256, width=256)).future
    seen: set[str] = set()
    while not future.done():
        seen |= threads() - idle
        time.sleep(0.001)
    assert seen  # the engine's own
    deadline = time.monotonic() + 10
    while threads() - idle and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threads() <= idle


def test_who_makes_an_engine_keeps_no_workers(engine: Engine) -> None:
    release_workers()
    idle = threads()
    compute()  # as who loads a model does
    (worker,) = threads() - idle
    with Engine(engine.bundle):
        assert worker not in threads()


def test_a_forked_child_leaves_the_workers_of_its_parent_alone() -> None:
    compute()
    child = os.fork()
    if child == 0:
        release_workers()  # the workers do not exist here: to wait for them would be for ever
        os._exit(0)
    deadline = time.monotonic() + 10
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    if ended == (0, 0):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert ended == (child, 0)


def test_fewer_threads_are_for_the_block_and_its_thread_alone() -> None:
    seen: list[int] = []
    release_workers()
    idle = threads()
    with on_threads(1):
        later = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        later.start()
        later.join()
        alone = compute()
        assert torch.get_num_threads() == 1
        gone_by = time.monotonic() + 5
        while not threads() <= idle:  # the system lets go of a thread a little after it was joined
            assert time.monotonic() < gone_by, "a team was made"
    assert (seen, torch.get_num_threads()) == ([2], 2)
    assert torch.equal(compute(), alone)
    release_workers()
