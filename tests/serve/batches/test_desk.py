"""The desk of batches: turns, restarts and disks that fail, with runs that take no time."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.batch.builders import inline_row, write_jsonl
from tests.jobs.drafts import failing_disk

from retouch.errors import BadRow, Conflict, EngineClosed, NotFound, StorageFailed
from retouch.jobs.job import Job, JobState
from retouch.jobs.sqlite_store import SqliteJobStore
from retouch.request import DEFAULT_LIMITS
from retouch.serve.batches.desk import BatchDesk
from retouch.serve.batches.folders import BatchFolders
from retouch.serve.batches.order import BatchOrder, Sent
from retouch.serve.metrics import Metrics
from retouch.serve.settings import ServeSettings


class House:
    """A server as the desk sees it."""

    limits = DEFAULT_LIMITS
    settings = ServeSettings()

    def __init__(self) -> None:
        self.metrics = Metrics()

    async def aside(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return await asyncio.to_thread(work, *args, **kwargs)


class Runs:
    """Makes runs that raise what comes next in a list, or wait until they are stopped for `...`."""

    def __init__(self, *ends: Any) -> None:
        self._ends = list(ends)
        self.owners: list[str] = []

    def __call__(self, job: Job, *_: Any, **__: Any) -> "Scripted":
        return Scripted(self, job)

    def next(self) -> Any:
        return self._ends.pop(0) if self._ends else None


class Scripted:
    progress = None

    def __init__(self, runs: Runs, job: Job) -> None:
        self._runs, self._job = runs, job
        self._stopped = threading.Event()

    def run(self) -> None:
        self._runs.owners.append(self._job.owner)
        end = self._runs.next()
        if end is ...:
            self._stopped.wait(20)
            raise EngineClosed("the run was stopped")
        if end is not None:
            raise end

    def stop(self) -> None:
        self._stopped.set()


@asynccontextmanager
async def opened(folder: Path, runs: Runs) -> AsyncIterator[BatchDesk]:
    house: Any = House()
    store = SqliteJobStore.open(folder / "store")
    desk = BatchDesk(house, store, BatchFolders(folder / "files"), run=runs, again_s=0.01)
    await desk.open()
    try:
        yield desk
    finally:
        await desk.close()


@pytest.fixture
def order(tmp_path: Path) -> BatchOrder:
    return BatchOrder(Sent("jsonl", write_jsonl(tmp_path / "t", [inline_row()]).read_bytes()), {})


async def ended(desk: BatchDesk, job: Job) -> Job:
    async with asyncio.timeout(20):
        while not (found := await desk.get(job.owner, job.id)).is_finished:
            await asyncio.sleep(0.005)
    return found


async def running(desk: BatchDesk, job: Job) -> None:
    async with asyncio.timeout(20):
        while (await desk.get(job.owner, job.id)).state is not JobState.RUNNING:
            await asyncio.sleep(0.005)


def test_owners_take_turns(tmp_path: Path, order: BatchOrder) -> None:
    async def work() -> None:
        async with opened(tmp_path, runs) as desk:
            first = (await desk.submit(order, owner="ann")).job
            await running(desk, first)
            jobs = [(await desk.submit(order, owner=owner)).job for owner in ("ann", "ann", "bob")]
            await desk.cancel("ann", first.id)
            for job in jobs:
                assert (await ended(desk, job)).state is JobState.DONE

    runs = Runs(...)
    asyncio.run(work())
    assert runs.owners == ["ann", "bob", "ann", "ann"]


def test_a_full_disk_is_waited_for(tmp_path: Path, order: BatchOrder) -> None:
    async def work() -> None:
        async with opened(tmp_path, runs) as desk:
            assert (await ended(desk, (await desk.submit(order, owner="ann")).job)).state is JobState.DONE

    runs = Runs(StorageFailed("full"), StorageFailed("full"))
    asyncio.run(work())
    assert len(runs.owners) == 3


@pytest.mark.parametrize("change", ["start", "finish"])
def test_a_disk_that_does_not_take_a_batchs_state_is_waited_for(
    tmp_path: Path, order: BatchOrder, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    async def work() -> None:
        async with opened(tmp_path, runs) as desk:
            assert (await ended(desk, (await desk.submit(order, owner="ann")).job)).state is JobState.DONE

    runs = Runs()
    failing_disk(monkeypatch, change, times=2)
    asyncio.run(work())
    assert runs.owners == ["ann"]


def test_a_disk_that_fails_holds_up_no_end_of_the_server(
    tmp_path: Path, order: BatchOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        async with opened(tmp_path, Runs()) as desk:
            job = (await desk.submit(order, owner="ann")).job
            await running(desk, job)
        monkeypatch.undo()
        async with opened(tmp_path, Runs()) as desk:
            assert (await ended(desk, job)).state is JobState.DONE

    failing_disk(monkeypatch, "finish")
    asyncio.run(work())


@pytest.mark.parametrize(
    ("error", "code"),
    [(BadRow("no"), "bad_row"), (EngineClosed("gone"), "engine_closed"), (KeyError("x"), "internal")],
)
def test_what_ends_a_batch_ends_no_other(tmp_path: Path, order: BatchOrder, error: Exception, code: str) -> None:
    async def work() -> None:
        async with opened(tmp_path, Runs(error)) as desk:
            first, second = [(await desk.submit(order, owner="ann")).job for _ in range(2)]
            failed = await ended(desk, first)
            assert (failed.state, failed.error and failed.error.code) == (JobState.FAILED, code)
            assert (await ended(desk, second)).state is JobState.DONE

    asyncio.run(work())


def test_what_runs_when_the_server_ends_goes_on_after_the_next_start(tmp_path: Path, order: BatchOrder) -> None:
    async def work() -> None:
        async with opened(tmp_path, Runs(...)) as desk:
            jobs = [(await desk.submit(order, owner="ann")).job for _ in range(2)]
            await running(desk, jobs[0])
        async with opened(tmp_path, Runs()) as desk:
            for job in jobs:
                found = await ended(desk, job)
                assert (found.state, found.attempts) == (JobState.DONE, 1)

    asyncio.run(work())


def test_a_cancelled_batch_is_stopped_and_is_nobody_elses(tmp_path: Path, order: BatchOrder) -> None:
    async def work() -> None:
        async with opened(tmp_path, Runs(...)) as desk:
            job = (await desk.submit(order, owner="ann")).job
            await running(desk, job)
            with pytest.raises(NotFound):
                await desk.cancel("bob", job.id)
            assert (await desk.cancel("ann", job.id)).state is JobState.CANCELLED
            with pytest.raises(Conflict):
                await desk.cancel("ann", job.id)
            assert (await ended(desk, (await desk.submit(order, owner="ann")).job)).state is JobState.DONE
            assert (await desk.get("ann", job.id)).state is JobState.CANCELLED

    asyncio.run(work())
