"""Who shares the next call."""

from collections.abc import Hashable
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from retouch.engine.batcher import Kind, choose, chunks


@dataclass(frozen=True)
class One:
    since: float
    rows: int = 2
    kind: Kind = Kind.STEP
    key: Hashable = "a"


ones = st.builds(
    One,
    since=st.floats(0, 9),
    rows=st.integers(1, 3),
    kind=st.sampled_from(Kind),
    key=st.sampled_from("ab"),
)


def test_nobody_waits_for_nothing() -> None:
    assert choose([], 4) == []


def test_longest_waiting_decides_kind_and_key() -> None:
    decode = One(since=1.0, rows=1, kind=Kind.DECODE)
    assert choose([One(since=2.0), One(since=3.0), decode], 8) == [decode]


def test_arrival_settles_ties() -> None:
    first, second = One(since=1.0, key="first"), One(since=1.0, key="second")
    assert choose([first, second], 8) == [first]


def test_guided_and_unguided_share_a_call_up_to_the_cap() -> None:
    guided, alone, late = One(since=0.0, rows=2), One(since=1.0, rows=1), One(since=2.0, rows=2)
    assert choose([late, alone, guided], 4) == [guided, alone]


def test_one_that_fits_passes_one_that_does_not() -> None:
    head, wide, narrow = One(since=0.0, rows=2), One(since=1.0, rows=2), One(since=2.0, rows=1)
    assert choose([head, wide, narrow], 3) == [head, narrow]


def test_one_larger_than_the_cap_goes_alone() -> None:
    head = One(since=0.0, rows=3)
    assert choose([head, One(since=1.0, rows=1)], 2) == [head]


@given(st.lists(ones, min_size=1), st.integers(1, 8))
def test_a_group_is_alike_fits_and_holds_the_longest_waiting(waiting: list[One], cap: int) -> None:
    group = choose(waiting, cap)
    assert group[0].since == min(one.since for one in waiting)
    assert len({(one.kind, one.key) for one in group}) == 1
    assert len(group) == 1 or sum(one.rows for one in group) <= cap


@given(st.lists(ones), st.integers(1, 8))
def test_everyone_is_served_in_the_end(waiting: list[One], cap: int) -> None:
    left = list(waiting)
    while left:
        group = {id(one) for one in choose(left, cap)}
        left = [one for one in left if id(one) not in group]


@given(st.lists(st.integers()), st.integers(1, 5))
def test_chunks_keep_every_row_in_order(rows: list[int], size: int) -> None:
    parts = list(chunks(rows, size))
    assert [row for part in parts for row in part] == rows
    assert all(len(part) == size for part in parts[:-1])
