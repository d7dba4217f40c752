"""The desk of batches: takes them in, has one at a time painted, and tells how far they are.

A batch is durable before anybody is told of it, and goes on after a restart where its ledger is.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, Protocol

from retouch.batch.ledger import Ledger
from retouch.batch.runner import Progress
from retouch.errors import Cancelled, Conflict, EngineClosed, Gone, RetouchError, StorageFailed
from retouch.jobs.job import Failure, Job, JobDraft, JobKind, JobState, Outcome
from retouch.jobs.store import JobStore, Page, Submission
from retouch.serve.batches.folders import BatchFolder, BatchFolders, Counts
from retouch.serve.batches.inputs import InputBounds, open_below, open_sent
from retouch.serve.batches.order import BatchOrder
from retouch.serve.batches.run import BatchRun
from retouch.serve.refusals import told_as

if TYPE_CHECKING:
    from retouch.serve.service import Service

log = logging.getLogger(__name__)

P = ParamSpec("P")

_AGAIN_S = 30.0
"""After a failure of the disk; what is done stays done."""


class Run(Protocol):
    """A run of a batch, as `BatchRun`."""

    @property
    def progress(self) -> Progress | None: ...
    def run(self) -> None: ...
    def stop(self) -> None: ...


@dataclass(slots=True, eq=False)
class Live:
    """The batch that is painted now.

    Attributes:
        trouble: what keeps it from going on for the moment.
        is_given_up: set when it shall not go on.
    """

    job: Job
    run: Run
    trouble: StorageFailed | None = None
    is_given_up: asyncio.Event = field(default_factory=asyncio.Event)


class BatchDesk:
    """Batches of one server. Its methods are for the event loop's thread."""

    def __init__(
        self,
        service: "Service",
        store: JobStore,
        folders: BatchFolders,
        *,
        run: Callable[..., Run] = BatchRun,
        again_s: float = _AGAIN_S,
    ) -> None:
        """Keep batches in a store and in folders.

        Args:
            run: makes the run of a batch.
            again_s: after a failure of the disk.
        """
        self._service = service
        self._run = run
        self._again_s = again_s
        self._store = store
        self._folders = folders
        settings = service.settings
        self.bounds = InputBounds(settings.batch_root, service.limits, settings.batch_rows)
        self._waiting: dict[str, Job] = {}
        self._served: list[str] = []
        self._live: Live | None = None
        self._came = asyncio.Event()
        self._is_ending = False
        self._task: asyncio.Task[None] | None = None

    async def submit(self, order: BatchOrder, *, owner: str, key: str | None = None) -> Submission:
        """Take a batch in; durable when this returns.

        Args:
            key: the same key with the same order is the same batch.
        Raises:
            BadInput: the input cannot be read, or has too many rows.
            Conflict: the key was used for something else.
            QueueFull, RateLimited: there is no room for it.
        """
        service = self._service
        name = await service.aside(self._folders.make, order)
        is_kept = False
        try:
            await service.aside(self._check, order, self._folders.of(name))
            draft = JobDraft(
                owner,
                JobKind.BATCH,
                order.told() | {"folder": name},
                idempotency_key=key,
                fingerprint=order.fingerprint(),
                beside_bytes=order.size_bytes,
            )
            submission = await service.aside(self._store.create, draft)
            is_kept = submission.is_new
        finally:
            await service.aside(partial(self._folders.settle, name, is_kept=is_kept))
        if submission.is_new:
            self._enqueue(submission.job)
        return submission

    def live(self, job_id: str) -> Live | None:
        """Return a batch as it is painted, while it is."""
        return self._live if self._live is not None and self._live.job.id == job_id else None

    async def get(self, owner: str, job_id: str) -> Job:
        """Return a batch as it is now.

        Raises:
            NotFound: the owner has none of this id.
        """
        return await self._service.aside(self._store.get, owner, job_id)

    async def page(self, owner: str, *, state: JobState | None, after: str | None, limit: int) -> Page:
        """Return some of the owner's batches, newest first."""
        return await self._service.aside(self._store.page, owner, state=state, after=after, limit=limit)

    async def counts(self, job: Job) -> Counts | None:
        """Return how its rows ended so far; None once it is expired."""
        if job.state is JobState.EXPIRED:
            return None
        return await self._service.aside(self.folder(job).counts)

    async def ledger(self, job: Job) -> Ledger | None:
        """Open its results to be read; None before it began. The caller closes it."""
        return await self._service.aside(self.folder(job).ledger)

    def folder(self, job: Job) -> BatchFolder:
        """Return where its files are.

        Raises:
            Gone: it is expired.
        """
        if job.state is JobState.EXPIRED:
            raise Gone("the batch is expired, and its files are deleted", hint="send it again")
        return self._folders.of(job.request["folder"])

    async def cancel(self, owner: str, job_id: str) -> Job:
        """End a batch that waits or runs; the pictures that are done stay as long as those of other batches.

        Raises:
            NotFound: the owner has none of this id.
            Conflict: it has ended.
        """
        job = await self._service.aside(self._store.cancel, owner, job_id)
        self._give_up(job_id)
        return job

    async def open(self) -> None:
        """Go on with what an earlier server left."""
        await self.recover()
        await self.tidy()
        self._task = asyncio.create_task(self._work(), name="retouch-batches")

    async def recover(self) -> None:
        """Go on with the batches of servers that are gone."""
        for job in await self._service.aside(self._store.recover, resume=True):
            if job.state is JobState.QUEUED:
                self._enqueue(job)

    async def heed(self) -> None:
        """Give up what was cancelled by way of another server."""
        mine = [*self._waiting, *(() if self._live is None else (self._live.job.id,))]
        if mine:
            for job_id in await self._service.aside(self._store.ended, mine):
                self._give_up(job_id)

    async def tidy(self) -> None:
        """Let batches expire whose time is over, and remove files that belong to none."""

        def tidied() -> None:
            self._store.sweep()
            self._folders.sweep(lambda: [job.request["folder"] for job in self._store.kept()])

        try:
            await self._service.aside(tidied)
        except StorageFailed as error:
            log.error("batches were not tidied: %s", error)

    def stop(self) -> None:
        """Begin no batch any more, and interrupt the one that runs: it goes on after the next start."""
        self._is_ending = True
        self._came.set()
        if self._live is not None:
            self._live.run.stop()
            self._live.is_given_up.set()

    async def close(self) -> None:
        """Wait until what runs is interrupted, then let go of the store."""
        self.stop()
        if self._task is not None:
            await self._task
        await asyncio.to_thread(self._store.close)

    def _give_up(self, job_id: str) -> None:
        self._waiting.pop(job_id, None)
        if (live := self.live(job_id)) is not None:
            live.run.stop()
            live.is_given_up.set()

    def _check(self, order: BatchOrder, folder: BatchFolder) -> None:
        """Find out what is wrong with an order before it waits: its columns, and the number of rows that came."""
        if isinstance(order.input, str):
            open_below(order.input, self.bounds).source.check(order.columns)
            return
        found = open_sent(folder.path / order.input.name, self.bounds)
        found.source.check(order.columns)
        for _ in found.source.rows():  # they are few enough to be counted now
            continue

    def _enqueue(self, job: Job) -> None:
        self._waiting[job.id] = job
        self._came.set()

    async def _work(self) -> None:
        """Paint one batch after the other, for ever."""
        while not self._is_ending:
            if not self._waiting:
                self._came.clear()
                await self._came.wait()
                continue
            job = self._waiting.pop(self._next().id)
            self._served = [*(one for one in self._served if one != job.owner), job.owner]
            await self._see_through(job)

    def _next(self) -> Job:
        """Return whose turn it is: owners take turns, the one first that had none for longest."""

        def turn(job: Job) -> int:
            return self._served.index(job.owner) if job.owner in self._served else -1

        return min(self._waiting.values(), key=turn)

    async def _see_through(self, job: Job) -> None:
        """Paint a batch, and note how it ended."""
        store, aside = self._store, self._service.aside
        run = self._run(job, self.folder(job), self._service, weigh=partial(store.weigh, job.id))
        self._live = live = Live(job, run)
        try:
            outcome = await self._painted(live) if await self._kept(live, store.start, job.id) else None
            if outcome is not None and await self._kept(live, store.finish, job.id, outcome):
                self._service.metrics.batch_ended(outcome.state)
            elif self._is_ending:
                await aside(store.requeue, job.id)
        except Conflict:  # it was cancelled meanwhile
            log.debug("a batch had ended already")
        except StorageFailed as error:
            log.error("a batch could not be put back, and begins again after a start: %s", error)
        finally:
            self._live = None

    async def _kept(self, live: Live, change: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> bool:
        """Make a change in the store once the disk takes it; return whether nobody stopped the batch before."""
        while True:
            try:
                await self._service.aside(change, *args, **kwargs)
            except StorageFailed as error:
                if not await self._waited(live, error):
                    return False
            else:
                return True

    async def _painted(self, live: Live) -> Outcome | None:
        """Return how a batch ended; None where somebody stopped it."""
        while True:
            try:
                await asyncio.to_thread(live.run.run)
            except StorageFailed as error:
                if not await self._waited(live, error):
                    return None
            except (EngineClosed, Cancelled) as error:
                return None if live.is_given_up.is_set() or self._is_ending else _failed(error)
            except Exception as error:  # noqa: BLE001 - a batch fails, and the desk goes on
                return _failed(told_as(error))
            else:
                return Outcome(JobState.DONE)

    async def _waited(self, live: Live, trouble: StorageFailed) -> bool:
        """Wait for a disk that failed; return whether nobody stopped the batch meanwhile."""
        log.error("a batch waits: %s", trouble)
        live.trouble = trouble
        try:
            await asyncio.wait_for(live.is_given_up.wait(), self._again_s)
        except TimeoutError:
            live.trouble = None
            return True
        return False


def _failed(error: RetouchError) -> Outcome:
    return Outcome(JobState.FAILED, error=Failure(error.code, str(error), error.hint))
