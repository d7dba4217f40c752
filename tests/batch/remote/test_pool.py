"""Rows on workers that may be lost: every row is painted once, and the guilty one alone fails."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from retouch.batch.entry import Painted
from retouch.batch.remote.pool import Pool
from retouch.batch.remote.worker import Ready, WorkerLost
from retouch.batch.rows import Row
from retouch.errors import BadInput, Cancelled, GenerationFailed, ModelNotFound

FACTS = {"content_hash": "abc"}


class Stand:
    """A worker of this process; `paints` says what it does with a row."""

    def __init__(self, paints: Callable[["Stand", Row], None] = lambda _, row: None, **more: Any) -> None:
        self.facts = more.get("facts", FACTS)
        self.width = more.get("width", 4)
        self.fault: BaseException | None = more.get("fault")
        self.paints = paints
        self.rows: set[int] = set()
        self.painted: list[int] = []
        self.most = 0
        self.ended = threading.Event()

    def start(self) -> Ready:
        if self.fault is not None:
            raise self.fault
        return Ready(self.width, self.facts)

    def paint(self, row: Row) -> Painted:
        self.rows.add(row.number)
        self.most = max(self.most, len(self.rows))
        try:
            self.paints(self, row)
            if self.ended.is_set():
                raise WorkerLost("ended", takes_blame=True)
        finally:
            self.rows.discard(row.number)
        self.painted.append(row.number)
        return Painted(row.number, "done", {})

    def end(self) -> None:
        self.ended.set()


class Crew:
    """Makes workers, one after the other, of what they shall be; the last of these serves for all further ones."""

    def __init__(self, *kinds: Callable[[], Stand]) -> None:
        self.kinds = kinds
        self.made: list[Stand] = []

    def __call__(self) -> Stand:
        made = self.kinds[min(len(self.made), len(self.kinds) - 1)]()
        self.made.append(made)
        return made


def rows(count: int) -> list[Row]:
    return [Row(number, "in.csv", number, {"id": f"row {number}"}) for number in range(count)]


def paint_all(pool: Pool, count: int, threads: int = 8) -> list[Painted]:
    with ThreadPoolExecutor(threads) as executor:
        return list(executor.map(pool.paint, rows(count)))


@pytest.fixture
def pool_of() -> Iterator[Callable[..., Pool]]:
    pools: list[Pool] = []

    def make(crew: Callable[[], Stand], count: int = 1, **options: Any) -> Pool:
        pools.append(Pool(crew, count, **{"pause_s": 0.0, **options}))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


def test_rows_are_spread_and_no_worker_has_more_than_it_wants(pool_of: Callable[..., Pool]) -> None:
    meet = threading.Barrier(4)
    crew = Crew(lambda: Stand(lambda _, row: meet.wait(10) and None, width=2))
    pool = pool_of(crew, 2)
    assert [one.row for one in paint_all(pool, 16, threads=8)] == list(range(16))
    assert [one.most for one in crew.made] == [2, 2]


def test_the_first_worker_says_how_wide_and_what_it_is(pool_of: Callable[..., Pool]) -> None:
    assert pool_of(Crew(lambda: Stand(width=7))).ready() == Ready(7, FACTS)


def test_rows_of_a_lost_machine_are_painted_by_others_however_often_it_happens(
    pool_of: Callable[..., Pool],
) -> None:
    def lost(_: Stand, row: Row) -> None:
        raise WorkerLost("its node is gone", takes_blame=False)

    crew = Crew(*[lambda: Stand(lost)] * 7, Stand)
    done = paint_all(pool_of(crew), 6)
    assert {one.status for one in done} == {"done"}
    assert sorted(crew.made[-1].painted) == list(range(6))


def test_a_row_that_ends_its_workers_fails_alone(pool_of: Callable[..., Pool]) -> None:
    """All eight are at one worker when it ends, and twice; the third time the guilty one is alone."""

    def poisoned(stand: Stand, row: Row) -> None:
        if row.number == 3:
            stand.end()
        elif 3 in stand.rows:
            stand.ended.wait(10)

    crew = Crew(lambda: Stand(poisoned, width=8))
    done = paint_all(pool_of(crew), 8)
    assert [one.row for one in done if one.status == "failed"] == [3]
    record = next(one.record for one in done if one.status == "failed")
    assert record["id"] == "row 3"
    assert record["error"]["code"] == "generation_failed"
    assert len(crew.made) >= 3
    assert all(stand.ended.is_set() for stand in crew.made[:3])


def test_a_worker_that_cannot_be_ends_the_run_with_the_reason(pool_of: Callable[..., Pool]) -> None:
    pool = pool_of(Crew(lambda: Stand(fault=ModelNotFound("no checkpoint there"))), 2)
    with pytest.raises(ModelNotFound, match="no checkpoint there"):
        pool.ready()
    with pytest.raises(ModelNotFound):
        pool.paint(rows(1)[0])


def test_workers_that_end_while_they_load_are_not_asked_for_forever(pool_of: Callable[..., Pool]) -> None:
    crew = Crew(lambda: Stand(fault=WorkerLost("killed", takes_blame=True)))
    with pytest.raises(GenerationFailed, match="killed"):
        pool_of(crew).ready()
    assert len(crew.made) == 3


def test_a_machine_that_is_lost_while_it_loads_is_waited_for(pool_of: Callable[..., Pool]) -> None:
    away = [lambda: Stand(fault=WorkerLost("node", takes_blame=False))] * 6
    assert pool_of(Crew(*away, Stand)).ready().width == 4


def test_a_worker_of_another_kind_ends_the_run_and_says_in_what(pool_of: Callable[..., Pool]) -> None:
    crew = Crew(Stand, lambda: Stand(facts={"content_hash": "xyz"}))
    pool = pool_of(crew, 2)
    with pytest.raises(BadInput, match="content_hash was"):
        paint_all(pool, 10_000, threads=1)


def test_the_end_of_the_run_wakes_who_waits_and_ends_all_workers(pool_of: Callable[..., Pool]) -> None:
    crew = Crew(lambda: Stand(lambda stand, row: stand.ended.wait(10) and None, width=1))
    with closing(pool_of(crew)) as pool, ThreadPoolExecutor(3) as executor:
        pool.ready()
        under_way = [executor.submit(pool.paint, row) for row in rows(3)]
        while not crew.made[0].rows:
            threading.Event().wait(0.001)
        pool.cancel()
        assert all(isinstance(one.exception(10), Cancelled) for one in under_way)
    assert all(stand.ended.is_set() for stand in crew.made)
