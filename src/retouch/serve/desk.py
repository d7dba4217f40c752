"""The desk: takes jobs in, sees them through whether or not anybody waits, and tells how far they are.

A job is durable before anybody is told of it. While its work is under way it also has a `Live` here, in memory.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from retouch.errors import Conflict, DeadlineExceeded, Draining, QueueFull, StorageFailed
from retouch.jobs.job import Blob, Job, JobState, Outcome
from retouch.jobs.store import BlobStream, JobStore, Page, Submission
from retouch.result import InpaintResult
from retouch.serve.admission import Lease
from retouch.serve.order import Order
from retouch.serve.outcomes import ended_by, outcome_of
from retouch.serve.refusals import told_as

if TYPE_CHECKING:
    from retouch.serve.service import Service
    from retouch.serve.work import Work

log = logging.getLogger(__name__)

_LOOK_S = 0.2
"""How often it is looked how far a job is that another server does."""
_AGAIN_S = 5.0
"""After a failure of the disk."""
_PIECE_BYTES = 256 << 10
"""What is in memory of a blob that is read in pieces."""


@dataclass(slots=True, eq=False)
class Live:
    """A job whose work is under way.

    Attributes:
        task: ends when the outcome is durable; its result is the pictures' result, its error what ended the work.
    """

    job: Job
    work: "Work | None" = None
    task: "asyncio.Task[InpaintResult]" = field(init=False)


class Desk:
    """Jobs of one server. Its methods are for the event loop's thread."""

    def __init__(self, service: "Service", store: JobStore) -> None:
        self._service = service
        self._store = store
        self._live: dict[str, Live] = {}
        self._behind: set[asyncio.Task[None]] = set()

    async def submit(
        self, order: Order, *, owner: str, lease: Lease, key: str | None = None, is_awaited: bool = False
    ) -> Submission:
        """Take a job in; durable when this returns.

        Args:
            lease: is taken over where the job is new.
            key: the same key with the same order is the same job.
            is_awaited: the client waits for its end.
        Raises:
            Conflict: the key was used for something else.
            QueueFull, RateLimited: there is no room for it.
        """
        self._service.check(order.request)
        aside, settings = self._service.aside, self._service.settings
        draft = await aside(order.draft, owner, key=key, is_awaited=is_awaited)
        if key is not None and (earlier := await aside(self._store.earlier, draft)):
            return earlier
        # Before it is durable: what is accepted is not refused any more.
        lease.take(rows=order.request.num_images_per_prompt - 1)
        submission = await aside(self._store.create, draft)
        if submission.is_new:
            deadline_s = settings.deadline_s if draft.is_awaited else settings.job_deadline_s
            self._begin(submission.job, order, lease.hand_over(), deadline_s=deadline_s)
        return submission

    def live(self, job_id: str) -> Live | None:
        """Return a job's work, while it is under way."""
        return self._live.get(job_id)

    async def get(self, owner: str, job_id: str) -> Job:
        """Return a job as it is now.

        Raises:
            NotFound: the owner has none of this id.
        """
        return await self._service.aside(self._store.get, owner, job_id)

    async def page(self, owner: str, *, state: JobState | None, after: str | None, limit: int) -> Page:
        """Return some of the owner's jobs, newest first."""
        return await self._service.aside(self._store.page, owner, state=state, after=after, limit=limit)

    async def blob(self, owner: str, job_id: str, name: str) -> Blob:
        """Return one of a job's files."""
        return await self._service.aside(self._store.blob, owner, job_id, name)

    async def open_blob(self, owner: str, job_id: str, name: str) -> BlobStream:
        """Open one of a job's files for `pieces`."""
        return await self._service.aside(self._store.open_blob, owner, job_id, name)

    async def pieces(self, blob: BlobStream) -> AsyncIterator[bytes]:
        """Yield a file's bytes as they are asked for, and close it: however slow a client, it holds a piece."""
        try:
            while piece := await self._service.aside(blob.read, _PIECE_BYTES):
                yield piece
        finally:
            blob.close()

    async def cancel(self, owner: str, job_id: str) -> Job:
        """End a job that waits or runs; its work stops before its next step.

        Raises:
            NotFound: the owner has none of this id.
            Conflict: it has ended.
        """
        job = await self._service.aside(self._store.cancel, owner, job_id)
        self.abandon(job_id)
        return job

    def abandon(self, job_id: str) -> None:
        """Stop the work of a job that nobody waits for any more; without effect once it is done."""
        if (live := self._live.get(job_id)) is not None and live.work is not None:
            live.work.cancel()

    async def finished(self, job: Job, *, within_s: float | None = None) -> None:
        """Wait for a job's end.

        Args:
            within_s: how long at most.
        Raises:
            DeadlineExceeded: it has not ended, and goes on.
            RetouchError: what ended the work.
        """
        try:
            async with asyncio.timeout(within_s):
                if (live := self._live.get(job.id)) is not None:
                    await asyncio.shield(live.task)
                    return
                while not job.is_finished:
                    await asyncio.sleep(_LOOK_S)
                    job = await self.get(job.owner, job.id)
        except TimeoutError as error:
            raise DeadlineExceeded(
                "the deadline passed before the picture was done",
                hint="the job goes on: send the request again",
            ) from error

    def progress(self) -> dict[str, dict[str, Any]]:
        """Return how far each job is whose work is under way here, by its id."""
        return {
            live.job.id: {"position": self._service.position(live.work), "progress": live.work.steps}
            for live in self._live.values()
            if live.work is not None
        }

    async def recover(self, *, resume: bool) -> Sequence[Job]:
        """Settle what servers left that are gone, and begin again what is to be begun again."""
        jobs = await self._service.aside(self._store.recover, resume=resume)
        for job in jobs:
            if job.state is JobState.QUEUED:
                self._see_to(self._resume(job))
        return jobs

    async def heed(self) -> None:
        """Stop the work of jobs that were cancelled by way of another server."""
        if self._live:
            for job_id in await self._service.aside(self._store.ended, tuple(self._live)):
                self.abandon(job_id)

    async def tidy(self) -> None:
        """Let jobs expire whose time is over."""
        try:
            await self._service.aside(self._store.sweep)
        except StorageFailed as error:
            log.error("jobs were not tidied: %s", error)

    async def close(self) -> None:
        """Wait until every outcome is durable that the disk takes now, then let go of the store."""
        self._leave_off()
        await asyncio.gather(*(live.task for live in self._live.values()), return_exceptions=True)
        self._leave_off()
        await asyncio.to_thread(self._store.close)

    def _leave_off(self) -> None:
        for task in self._behind:
            task.cancel()

    def _see_to(self, chore: Coroutine[Any, Any, None]) -> None:
        """Do something that nobody waits for, until the desk closes."""
        task = asyncio.create_task(chore, name="retouch-behind")
        self._behind.add(task)
        task.add_done_callback(self._behind.discard)

    async def _resume(self, job: Job) -> None:
        try:
            pictures = {info.name: (await self.blob(job.owner, job.id, info.name)).data for info in job.blobs}
            order = Order.of(job.request, pictures)
            self._service.check(order.request)
            lease = await self._room(order.request.num_images_per_prompt)
        except Draining:
            log.debug("a job waits for the next start")
        except Exception as error:  # noqa: BLE001 - it would wait for ever
            await self._note(job, ended_by(told_as(error)))
        else:
            self._begin(job, order, lease, deadline_s=self._service.settings.job_deadline_s)

    async def _room(self, rows: int) -> Lease:
        """Wait until there is room for so many pictures, and take it.

        Raises:
            QueueFull: there would be none if nothing else were under way.
        """
        admission = self._service.admission
        while True:
            is_alone = not admission.rows
            try:
                return admission.enter(None, rows=rows)
            except QueueFull as error:
                if is_alone:
                    raise
                await asyncio.sleep(error.retry_after_s or 1.0)

    def _begin(self, job: Job, order: Order, lease: Lease, *, deadline_s: float) -> None:
        live = self._live[job.id] = Live(job)
        live.task = asyncio.create_task(self._see_through(live, order, lease, deadline_s), name="retouch-job")
        live.task.add_done_callback(_retrieve)

    async def _see_through(self, live: Live, order: Order, lease: Lease, deadline_s: float) -> InpaintResult:
        """Do the work, and note how it ended."""
        service = self._service
        try:
            with lease:
                live.work = service.begin(order.request, lease=lease, deadline_s=deadline_s)
                live.job = await service.aside(self._store.start, live.job.id)
                result = await live.work.result()
                outcome = await outcome_of(result, order, service)
        except Exception as caught:
            error = told_as(caught)
            if isinstance(error, Draining) and service.settings.resume_jobs:
                await service.aside(self._store.requeue, live.job.id)
            else:
                await self._note(live.job, ended_by(error))
            if error is caught:
                raise
            raise error from caught
        else:
            await self._note(live.job, outcome)
            return result
        finally:
            if live.work is not None:
                live.work.cancel()
            del self._live[live.job.id]

    async def _note(self, job: Job, outcome: Outcome) -> None:
        """Make an outcome durable; where the disk takes not even a failure, as soon as it takes either.

        Raises:
            StorageFailed: there are pictures, and they are not kept, or not yet.
        """
        refused = trouble = await self._refused(job, outcome)
        if trouble and outcome.blobs:  # a few bytes more fit, where the pictures do not
            refused = await self._refused(job, ended_by(trouble))
        if refused:
            log.error("how a job ended could not be noted yet: %s", refused)
            self._see_to(self._note_again(job, outcome))
        if trouble and outcome.blobs:
            raise trouble

    async def _note_again(self, job: Job, outcome: Outcome) -> None:
        await asyncio.sleep(_AGAIN_S)
        with suppress(StorageFailed):
            await self._note(job, outcome)

    async def _refused(self, job: Job, outcome: Outcome) -> StorageFailed | None:
        """Write an outcome, and return what the disk has against it."""
        try:
            await self._service.aside(self._store.finish, job.id, outcome)
        except Conflict:  # it was cancelled meanwhile
            log.debug("a job had ended already")
        except StorageFailed as error:
            return error
        return None


def _retrieve(task: "asyncio.Task[InpaintResult]") -> None:
    """Look at a task's error, so that asyncio does not report one that is in the store."""
    if not task.cancelled():
        task.exception()
