"""OpenMP workers go while their thread only waits."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from retouch.engine.engine import Engine
from retouch.engine.plan import Plan
from retouch.engine.workers import release_workers

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
    release_workers()
    idle = threads()
    compute()
    assert threads() - idle
    engine.submit(plan(0)).future.result(timeout=60)
    engine.submit(plan(1)).future.result(timeout=60)
    engine.close()
    assert threads() <= idle
