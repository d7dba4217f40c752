"""Rows of a batch wait for requests, but not for ever."""

import threading
from dataclasses import dataclass, field

from retouch.serve.batches.politeness import CALM_S, PATIENCE_S, Politeness


@dataclass
class Time:
    """A clock that moves when somebody pauses; the others have their turn until `free_at`."""

    free_at: float
    now: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def polite(self) -> Politeness:
        return Politeness(lambda: self.now < self.free_at, clock=self.clock, pause=self.pause)


def test_work_begins_at_once_where_nobody_else_has_any() -> None:
    time = Time(free_at=0.0)
    with time.polite():
        assert time.pauses == []


def test_work_waits_for_others_and_a_little_longer() -> None:
    time = Time(free_at=0.5)
    with time.polite():
        assert 0.5 + CALM_S - 0.02 <= time.now < 0.5 + CALM_S + 0.02


def test_others_without_a_gap_leave_a_piece_of_work_now_and_then() -> None:
    time = Time(free_at=100.0)
    polite = time.polite()
    for piece in (1, 2):
        with polite:
            assert piece * PATIENCE_S <= time.now < piece * PATIENCE_S + 0.2


def test_one_piece_of_work_is_done_at_a_time() -> None:
    polite, entered = Politeness(lambda: False), threading.Event()

    def enter() -> None:
        with polite:
            entered.set()

    with polite:
        other = threading.Thread(target=enter)
        other.start()
        assert not entered.wait(0.05)
    other.join(10)
    assert entered.is_set()
