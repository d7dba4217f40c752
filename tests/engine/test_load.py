"""What the system counts of other work, and how many threads that leaves."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from retouch.engine.load import Decision, Others, Waits

PROCESSORS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 10.0

    def __call__(self) -> float:
        return self.now


def write_task(folder: Path, name: str, waited_s: float) -> None:
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "schedstat").write_text(f"123 {round(waited_s * 1e9)} 7\n")


def write_stat(path: Path, idle_s: Callable[[int], float]) -> None:
    """Write what the system counts of each processor; `idle_s` of those that are not ours is nobody's business."""
    ticks, own = os.sysconf("SC_CLK_TCK"), os.sched_getaffinity(0)
    lines = ["cpu 1 2 3 4 5 6 7"]
    for number in range(max(own) + 2):
        idle = idle_s(number) if number in own else 1e6 * idle_s(number)
        lines.append(f"cpu{number} 5 5 5 {round(idle * ticks) - 3} 3 0 0 0 0 0")
    path.write_text("\n".join([*lines, "intr 5 5", "ctxt 7"]))


def test_waits_are_what_all_threads_waited_since_the_last_look(tmp_path: Path) -> None:
    clock = Clock()
    write_task(tmp_path, "1", 100.0)
    write_task(tmp_path, "2", 5.0)
    waits = Waits(tmp_path, clock)
    clock.now = 11.0
    assert waits.look() == 0.0  # what they waited before is nobody's business
    write_task(tmp_path, "1", 100.25)
    write_task(tmp_path, "2", 5.5)
    write_task(tmp_path, "3", 9.0)
    clock.now = 13.0
    assert waits.look() == pytest.approx(0.375)


@pytest.mark.skipif(not PROCESSORS, reason="the system does not say which processors are ours")
def test_others_use_what_is_neither_idle_nor_ours(tmp_path: Path) -> None:
    clock, used, stat = Clock(), Clock(), tmp_path / "stat"
    write_stat(stat, lambda number: 100.0 + number)
    others = Others(stat, clock, used)
    write_stat(stat, lambda number: 100.5 + number)  # a quarter of the two seconds to come
    clock.now, used.now = 12.0, 10.5
    assert others.look() == pytest.approx(0.75 * PROCESSORS - 0.25, abs=0.02)
    write_stat(stat, lambda number: 101.5 + number)
    clock.now = 13.0
    assert others.look() == pytest.approx(0.0, abs=0.02)


def test_a_system_that_counts_nothing_looks_quiet(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "schedstat").write_text("nothing")
    assert Waits(tmp_path).look() == Waits(tmp_path / "missing").look() == 0.0
    assert Others(tmp_path / "missing").look() == Others(tmp_path / "2" / "schedstat").look() == 0.0


def seen(decision: Decision, looks: list[tuple[float, float]]) -> list[int]:
    found = []
    for waiting, others in looks:
        decision.see(waiting, others)
        found.append(decision.halvings)
    return found


def test_threads_are_halved_at_the_first_sign_and_come_back_after_a_while_alone() -> None:
    looks = [(0.1, 0.0), (0.19, 0.0), (0.3, 1.0), *[(0.01, 0.1)] * 9, (0.25, 0.5), *[(0.01, 0.1)] * 10, (0.1, 0.0)]
    assert seen(Decision(2), looks) == [0, 0, *[1] * 20, 0, 0]


def test_a_look_that_says_neither_is_not_counted() -> None:
    # The beginning of each of many short requests, when a client has just used a processor.
    looks = [(0.3, 1.0), *[(0.1, 0.1), (0.01, 0.1), (0.01, 0.1)] * 5]
    assert seen(Decision(2), looks) == [*[1] * 15, 0]


def test_threads_that_wait_for_each_other_stay() -> None:
    assert set(seen(Decision(2), [(0.8, 0.1)] * 20)) == {0}


def test_threads_stay_few_while_others_use_the_processors_that_they_have_left() -> None:
    decision = Decision(2)
    assert set(seen(decision, [(0.5, 1.0), *[(0.0, 1.0)] * 99])) == {1}
    # They come back to try once in a while: others that always give way look the same.
    assert seen(decision, [(0.0, 1.0), (0.1, 1.0), (0.5, 1.0)]) == [0, 0, 1]


def test_threads_that_are_still_too_many_are_halved_again_but_not_at_once() -> None:
    crowded = [(3.0, 8.0)] * 30
    assert seen(Decision(16), crowded)[::5] == [1, 2, 3, 4, 4, 4]
    assert seen(Decision(1), crowded)[-1] == 1
