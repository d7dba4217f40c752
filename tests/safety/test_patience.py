"""Few attempts, one deadline; whatever goes wrong is told to the breaker, and no place is lost."""

import threading
from collections.abc import Callable

import pytest

from retouch.safety.breaker import CircuitBreaker, CircuitOpen
from retouch.safety.patience import FaultKind, Patience, PatientCaller, ServiceFault


class Time:
    """A clock that only pauses move."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def caller(time: Time, patience: Patience | None = None, *, draw: float = 0.5) -> PatientCaller:
    breaker = CircuitBreaker(clock=time, failures=3, open_s=10.0)
    return PatientCaller(patience or Patience(), breaker, clock=time, delay=time.pause, draw=lambda: draw)


def failing(kind: FaultKind, *, times: int = 99, after: float | None = None) -> Callable[[], str]:
    left = [times]

    def question() -> str:
        left[0] -= 1
        if left[0] >= 0:
            raise ServiceFault("busy", kind, retry_after_s=after)
        return "answer"

    return question


def test_an_answer_is_returned_and_what_passes_is_asked_again() -> None:
    time = Time()
    assert caller(time).ask(failing("passing", times=2)) == "answer"
    assert time.pauses == [0.25 * 0.75, 0.5 * 0.75]


@pytest.mark.parametrize(("draw", "pause"), [(0.0, 0.125), (0.999, 0.25)])
def test_pauses_are_drawn_so_that_callers_do_not_come_together(draw: float, pause: float) -> None:
    time = Time()
    caller(time, draw=draw).ask(failing("passing", times=1))
    assert time.pauses[0] == pytest.approx(pause, abs=0.001)


@pytest.mark.parametrize("kind", ["lasting", "ours"])
def test_what_does_not_pass_is_asked_once(kind: FaultKind) -> None:
    time = Time()
    with pytest.raises(ServiceFault):
        caller(time).ask(failing(kind, times=1))
    assert time.pauses == []


def test_the_deadline_counts_over_all_attempts() -> None:
    time = Time()
    with pytest.raises(ServiceFault):
        caller(time, Patience(total_s=10.0, retries=9)).ask(failing("passing", after=4.0))
    assert time.pauses == [4.0, 4.0]


def test_only_the_services_own_faults_open_the_breaker() -> None:
    asks = caller(Time(), Patience(retries=0))
    for _ in range(9):
        with pytest.raises(ServiceFault):
            asks.ask(failing("ours"))
    for kind in ("passing", "lasting", "passing"):
        with pytest.raises(ServiceFault):
            asks.ask(failing(kind))
    with pytest.raises(CircuitOpen):
        asks.ask(lambda: "answer")


def test_an_error_of_another_kind_is_raised_and_counts_as_the_services() -> None:
    asks = caller(Time())

    def broken() -> str:
        raise KeyError("what")

    for _ in range(3):
        with pytest.raises(KeyError):
            asks.ask(broken)
    with pytest.raises(CircuitOpen):
        asks.ask(lambda: "answer")


def test_a_probe_that_is_interrupted_does_not_block_the_next() -> None:
    time = Time()
    asks = caller(time, Patience(retries=0))
    for _ in range(3):
        with pytest.raises(ServiceFault):
            asks.ask(failing("passing"))
    time.now += 10.0

    def interrupted() -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asks.ask(interrupted)
    time.now += 10.0
    assert asks.ask(lambda: "answer") == "answer"


def test_no_place_is_lost_by_failures_or_by_threads_that_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    asks = caller(Time(), Patience(places=1, retries=0, total_s=0.2))
    with pytest.raises(ServiceFault):
        asks.ask(failing("ours"))
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", _cannot_start)
        with pytest.raises(RuntimeError):
            asks.ask(lambda: "answer")
    assert asks.ask(lambda: "answer") == "answer"


def _cannot_start(thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_a_question_that_never_ends_keeps_its_place_until_it_does() -> None:
    released, ended = threading.Event(), threading.Event()
    asks = caller(Time(), Patience(places=1, retries=0, total_s=0.1))

    def hang() -> str:
        released.wait(10)
        ended.set()
        return "late"

    for message in ("no answer in time", "too many calls"):
        with pytest.raises(ServiceFault, match=message):
            asks.ask(hang)
    released.set()
    assert ended.wait(10)
    assert asks._places.acquire(timeout=10)
