"""The book of what is under way: bounds hold whatever comes, and everything is given back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retouch.errors import Draining, QueueFull, RateLimited
from retouch.serve.admission import Admission, Bounds, Lease


class Clock:
    """A clock that stands until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def admission(clock: Clock | None = None, **bounds: int) -> Admission:
    return Admission(Bounds(**({"rows": 64, "size_bytes": 1000} | bounds)), clock=clock or Clock())


def test_a_full_queue_says_when_to_come_again() -> None:
    book = admission(rows=2)
    book.enter(None), book.enter(None)
    with pytest.raises(QueueFull) as refused:
        book.enter(None)
    assert refused.value.retry_after_s >= 1


def test_places_are_taken_together_or_not_at_all() -> None:
    book = admission(rows=4)
    held = book.enter(None, rows=2)
    with pytest.raises(QueueFull):
        book.enter(None, rows=3)
    assert book.rows == held.rows == 2


def test_who_is_in_is_not_put_out_when_fewer_may_be() -> None:
    clock = Clock()
    book = admission(clock)
    held = book.enter(None, rows=20)
    clock.now += 60
    book.made(1)
    assert book.most_rows < book.rows
    held.take(size_bytes=5)
    with pytest.raises(QueueFull):
        held.take(rows=1)


def test_bytes_are_bounded_as_rows_are() -> None:
    book = admission()
    book.enter(None, size_bytes=600)
    with pytest.raises(QueueFull):
        book.enter(None, size_bytes=600)
    assert book.rows == 1


def test_a_lease_gives_back_what_it_took_once() -> None:
    book = admission()
    with book.enter(None, size_bytes=10) as lease:
        lease.take(rows=3, size_bytes=5)
        assert (book.rows, book.size_bytes) == (4, 15)
    lease.release()
    assert (book.rows, book.size_bytes) == (0, 0)


def test_a_refused_take_keeps_what_is_held() -> None:
    book = admission(rows=4)
    lease = book.enter(None)
    with pytest.raises(QueueFull):
        lease.take(rows=4)
    assert book.rows == lease.rows == 1


def test_work_that_outlives_its_request_keeps_its_place() -> None:
    book = admission()
    with book.enter(None) as lease:
        kept = lease.hand_over()
    assert book.rows == 1
    kept.release()
    assert book.rows == 0


def test_a_caller_has_a_share_of_its_own() -> None:
    book = admission(caller_rows=2)
    book.enter("a").take(rows=1)
    with pytest.raises(RateLimited):
        book.enter("a")
    book.enter("b")


def test_a_caller_who_comes_too_often_waits_until_the_minute_is_over() -> None:
    clock = Clock()
    book = admission(clock, caller_per_minute=2)
    book.enter("a").release()
    clock.now += 20
    book.enter("a").release()
    with pytest.raises(RateLimited) as refused:
        book.enter("a")
    assert refused.value.retry_after_s == 40
    clock.now += 41
    book.enter("a").release()


def test_a_caller_who_has_gone_is_forgotten() -> None:
    clock = Clock()
    book = admission(clock, caller_rows=1)
    for at in range(100):
        book.enter(f"caller {at}").release()
    assert not book._callers


def test_nobody_comes_in_while_it_drains() -> None:
    book = admission()
    lease = book.enter(None)
    book.drain()
    with pytest.raises(Draining):
        book.enter(None)
    lease.release()
    assert book.rows == 0


def test_a_slow_model_has_a_short_queue() -> None:
    clock = Clock()
    book = admission(clock)
    lease = book.enter(None)
    clock.now += 20
    book.made(1)
    lease.release()
    assert book.most_rows == 6  # two minutes at twenty seconds a picture


def test_time_without_work_is_no_slowness() -> None:
    clock = Clock()
    book = admission(clock)
    for _ in range(5):
        clock.now += 1000
        with book.enter(None):
            clock.now += 1
            book.made(1)
    assert book.most_rows == 64


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["enter", "take", "hand over", "release"]),
            st.integers(0, 5),
            st.integers(0, 400),
            st.sampled_from(["a", "b", None]),
        ),
        max_size=60,
    )
)
def test_the_sums_are_those_of_the_leases_whatever_happens(
    acts: list[tuple[str, int, int, str | None]],
) -> None:
    book = admission(rows=10, caller_rows=6)
    leases: list[Lease] = []
    for act, number, size_bytes, caller in acts:
        try:
            if act == "enter":
                leases.append(book.enter(caller, size_bytes=size_bytes))
            elif leases and act == "take":
                leases[number % len(leases)].take(rows=number, size_bytes=size_bytes)
            elif leases and act == "hand over":
                leases.append(leases[number % len(leases)].hand_over())
            elif leases:
                leases[number % len(leases)].release()
        except (QueueFull, RateLimited):
            pass
        assert book.rows == sum(lease.rows for lease in leases) <= 10
        assert book.size_bytes == sum(lease.size_bytes for lease in leases) <= 1000
        for name in ("a", "b"):
            assert sum(lease.rows for lease in leases if lease.caller == name) <= 6
    for lease in leases:
        lease.release()
    assert book.rows == book.size_bytes == 0
    assert not book._callers
