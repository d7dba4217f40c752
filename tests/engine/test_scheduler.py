"""Who may wait, who takes turns, who shares the next call and how large it is."""

from collections.abc import Hashable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retouch.engine.scheduler import CallSizes, Scheduler, Stage, choose
from retouch.engine.settings import EngineSettings
from retouch.errors import QueueFull


@dataclass(frozen=True)
class One:
    since: float
    rows: int = 2
    kind: Stage = Stage.STEP
    key: Hashable = "a"


ones = st.builds(
    One,
    since=st.floats(0, 9),
    rows=st.integers(1, 3),
    kind=st.sampled_from(Stage),
    key=st.sampled_from("ab"),
)


def test_nobody_waits_for_nothing() -> None:
    assert choose([], 4) == []


def test_longest_waiting_decides_kind_and_key() -> None:
    decode = One(since=1.0, rows=1, kind=Stage.DECODE)
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


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (EngineSettings(), {Stage.TEXT: 16, Stage.PICTURES: 4, Stage.STEP: 16, Stage.DECODE: 4}),
        (
            EngineSettings(rows_per_call=2),
            {Stage.TEXT: 2, Stage.PICTURES: 1, Stage.STEP: 2, Stage.DECODE: 1},
        ),
        (EngineSettings(vae_rows=3), {Stage.PICTURES: 3, Stage.DECODE: 3}),
    ],
)
def test_each_kind_has_its_own_size_of_call(settings: EngineSettings, expected: dict[Stage, int]) -> None:
    sizes = CallSizes(settings, row_cap=16)
    assert {kind: sizes.most_rows(kind) for kind in expected} == expected


def test_calls_are_halved_once_and_never_where_their_size_decides_the_pixels() -> None:
    free, fixed = CallSizes(EngineSettings(), row_cap=8), CallSizes(EngineSettings(rows_per_call=8), row_cap=8)
    assert [free.halve(), free.halve(), free.row_cap] == [True, False, 4]
    assert [fixed.halve(), fixed.row_cap] == [False, 8]


@dataclass(eq=False)
class Job:
    """A picture on its way: `unet_rows` rows in every call."""

    since: float = 0.0
    unet_rows: int = 2
    size_bytes: int = 1
    calls_left: int = 10
    kind: Stage = Stage.STEP
    key: Hashable = "a"
    is_background: bool = False

    @property
    def rows(self) -> int:
        return self.unet_rows


def scheduler_of(*, row_cap: int = 4, **settings: int) -> Scheduler[Job]:
    made = EngineSettings(**settings)
    return Scheduler(made, CallSizes(made, row_cap=row_cap))


def test_places_are_given_in_order_of_arrival_and_again_when_one_is_left() -> None:
    scheduler, jobs = scheduler_of(row_cap=4, active_calls=1), [Job(since=n) for n in range(3)]
    for job in jobs:
        scheduler.add(job, row_s=None)
    assert scheduler.admit() == jobs[:2]
    assert (scheduler.active, len(scheduler.waiting), scheduler.unet_rows) == (2, 3, 6)
    assert scheduler.admit() == []
    scheduler.remove([jobs[0]])
    assert scheduler.admit() == [jobs[2]]
    assert scheduler.waiting == jobs[1:]


def test_one_that_needs_more_than_all_places_gets_them_alone() -> None:
    scheduler, wide = scheduler_of(row_cap=1, active_calls=1), Job(unet_rows=2)
    scheduler.add(wide, row_s=None)
    assert scheduler.admit() == [wide]
    assert scheduler.next() == [wide]


def test_a_full_queue_says_when_to_come_again() -> None:
    scheduler = scheduler_of(max_queued_rows=4)
    scheduler.add(Job(calls_left=10), row_s=None)
    scheduler.add(Job(calls_left=30), row_s=None)
    with pytest.raises(QueueFull) as refusal:
        scheduler.add(Job(), row_s=0.5)
    # 2 rows x (10 + 30) calls x 0.5 s, shared by the two who wait.
    assert refusal.value.retry_after_s == 20.0
    with pytest.raises(QueueFull):
        scheduler_of(max_queued_bytes=1).add(Job(size_bytes=2), row_s=None)


def test_with_fixed_rows_guided_and_unguided_ones_take_calls_of_their_own() -> None:
    guided, plain = [Job(since=0.0), Job(since=2.0)], [Job(since=1.0, unet_rows=1), Job(since=3.0, unet_rows=1)]
    together, apart = scheduler_of(row_cap=6), scheduler_of(rows_per_call=6)
    for job in (*guided, *plain):
        together.add(job, row_s=None)
        apart.add(job, row_s=None)
    together.admit()
    apart.admit()
    assert together.next() == sorted([*guided, *plain], key=lambda one: one.since)
    assert apart.next() == guided
    apart.remove(guided)
    assert apart.next() == plain


def admitted(*jobs: Job, **settings: int) -> Scheduler[Job]:
    """A scheduler that gave all of them a place."""
    scheduler = scheduler_of(**settings)
    for job in jobs:
        scheduler.add(job, row_s=None)
    scheduler.admit()
    assert scheduler.active == len(jobs)
    return scheduler


def test_the_background_waits_for_all_others_and_shares_no_call_with_them() -> None:
    behind, late, later = Job(since=0.0, is_background=True), Job(since=1.0), Job(since=1.5)
    scheduler = admitted(behind, late, later, row_cap=8)
    assert scheduler.next() == [late, later]
    scheduler.remove([late, later])
    assert scheduler.next() == [behind]


def test_the_background_has_a_call_where_it_had_none_for_long() -> None:
    behind, other = Job(since=0.0, is_background=True), Job(since=0.5, is_background=True, key="b")
    ahead = Job(since=2.4)
    scheduler = admitted(behind, other, ahead, row_cap=8)
    assert scheduler.next() == [ahead]
    ahead.since = 2.6
    assert scheduler.next() == [behind]
    behind.since = 2.7  # and with that one call it has to do, whoever else of it waits
    assert scheduler.next() == [ahead]


def test_the_background_holds_no_place_and_no_room_against_others() -> None:
    scheduler = scheduler_of(row_cap=4, active_calls=1, max_queued_rows=4)
    behind, ahead = [Job(is_background=True) for _ in range(2)], [Job() for _ in range(2)]
    for job in (*behind, *ahead):
        scheduler.add(job, row_s=None)
    with pytest.raises(QueueFull):
        scheduler.add(Job(is_background=True), row_s=None)
    with pytest.raises(QueueFull):
        scheduler.add(Job(), row_s=None)
    assert scheduler.admit() == ahead
    scheduler.remove([ahead[0]])
    assert scheduler.admit() == [behind[0]]
    scheduler.remove([ahead[1]])
    assert scheduler.admit() == [behind[1]]
    late = Job()
    scheduler.add(late, row_s=None)
    assert scheduler.admit() == [late]
