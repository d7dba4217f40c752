"""The breaker opens after failures in a row, lets nothing through, and probes with one call at a time."""

import pytest

from retouch.safety.breaker import CircuitBreaker, CircuitOpen


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(clock=clock, failures=3, open_s=10.0)


def fail(breaker: CircuitBreaker, times: int = 3) -> None:
    for _ in range(times):
        breaker.enter()
        breaker.failed()


def test_failures_that_are_not_in_a_row_leave_it_closed(breaker: CircuitBreaker) -> None:
    for _ in range(5):
        fail(breaker, 2)
        breaker.enter()
        breaker.succeeded()
    assert breaker.state == "closed"


def test_it_opens_at_the_last_of_them_and_says_for_how_long(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, 2)
    assert breaker.state == "closed"
    fail(breaker, 1)
    assert breaker.state == "open"
    clock.now = 4.0
    with pytest.raises(CircuitOpen) as caught:
        breaker.enter()
    assert caught.value.retry_after_s == 6.0


def test_one_call_probes_while_the_others_are_refused(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker)
    clock.now = 10.0
    assert breaker.state == "half_open"
    breaker.enter()
    with pytest.raises(CircuitOpen):
        breaker.enter()
    breaker.succeeded()
    assert breaker.state == "closed"
    fail(breaker, 2)
    assert breaker.state == "closed"  # and it counts from the start


def test_a_probe_that_fails_opens_it_again(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker)
    clock.now = 10.0
    fail(breaker, 1)
    assert breaker.state == "open"
    clock.now = 19.9
    with pytest.raises(CircuitOpen):
        breaker.enter()
    clock.now = 20.0
    breaker.enter()


@pytest.mark.parametrize(("asked_s", "rest_s"), [(0.0, 10.0), (3.0, 10.0), (30.0, 30.0), (86_400.0, 60.0)])
def test_a_service_gets_the_rest_it_asks_for_within_bounds(
    breaker: CircuitBreaker, clock: Clock, asked_s: float, rest_s: float
) -> None:
    fail(breaker, 2)
    breaker.failed(asked_s)
    clock.now = rest_s - 0.1
    assert breaker.state == "open"
    clock.now = rest_s
    assert breaker.state == "half_open"
