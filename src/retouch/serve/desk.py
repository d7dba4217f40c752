"""The desk: takes jobs in, sees them through whether or not anybody waits, and tells how far they are.

A job is durable before anybody is told of it. While its work is under way it also has a `Live` here, in memory.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from retouch.errors import Conflict, Draining, QueueFull, StorageFailed
from retouch.imaging.choices import FileFormat
from retouch.imaging.encode import MEDIA_TYPES
from retouch.jobs.job import Blob, Job, JobDraft, JobKind, JobState, Outcome
from retouch.jobs.store import JobStore, Page, Submission
from retouch.request import InpaintRequest
from retouch.result import InpaintResult
from retouch.serve.admission import Lease
from retouch.serve.outcomes import ended_by, mask_file, told_of
from retouch.serve.refusals import told_as

if TYPE_CHECKING:
    from retouch.serve.service import Service
    from retouch.serve.work import Work

log = logging.getLogger(__name__)

PICTURES = ("image", "mask_image")
_OUTPUT = ("format", "quality")
_LOOK_S = 0.2
"""How often it is looked how far a job is that another server does."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a client wants made.

    Attributes:
        request: with its pictures as encoded bytes.
        format, quality: of the files of its result.
    """

    request: InpaintRequest
    format: FileFormat = "PNG"
    quality: int | None = None

    def draft(self, owner: str, *, key: str | None, is_awaited: bool = False) -> JobDraft:
        """Return it as what a store keeps.

        Its fingerprint is of what was asked, not of the bytes that asked for it: a form that is sent again has
        another boundary.
        """
        told = {
            one.name: getattr(self.request, one.name) for one in fields(InpaintRequest) if one.name not in PICTURES
        }
        blobs = [
            Blob(name, "application/octet-stream", data)
            for name in PICTURES
            if isinstance(data := getattr(self.request, name), bytes)
        ]
        told |= {name: getattr(self, name) for name in _OUTPUT}
        digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
        for blob in blobs:
            digest.update(f"\n{blob.name} {len(blob.data)}\n".encode() + blob.data)
        fingerprint, is_lost_with_us = digest.hexdigest(), is_awaited and key is None
        return JobDraft(owner, JobKind.INPAINT, told, tuple(blobs), key, fingerprint, is_awaited=is_lost_with_us)

    @classmethod
    def of(cls, told: Mapping[str, Any], pictures: Mapping[str, bytes]) -> "Order":
        """Return what a draft was made of."""
        asked: dict[str, Any] = {**told, **pictures}
        output = {name: asked.pop(name) for name in _OUTPUT}
        return cls(InpaintRequest(**asked), **output)


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
        self._resuming: set[asyncio.Task[None]] = set()

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
        draft = await self._service.aside(order.draft, owner, key=key, is_awaited=is_awaited)
        submission = await self._service.aside(self._store.create, draft)
        if submission.is_new:
            self._begin(submission.job, order, lease.hand_over())
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

    async def finished(self, job: Job) -> InpaintResult | None:
        """Wait for a job's end, and return its pictures; None where they were made before, or elsewhere.

        Raises:
            RetouchError: what ended the work.
        """
        if (live := self._live.get(job.id)) is not None:
            return await asyncio.shield(live.task)
        while not job.is_finished:
            await asyncio.sleep(_LOOK_S)
            job = await self.get(job.owner, job.id)
        return None

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
                task = asyncio.create_task(self._resume(job), name="retouch-resume")
                self._resuming.add(task)
                task.add_done_callback(self._resuming.discard)
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
        """Wait until every outcome is durable, then let go of the store."""
        for task in self._resuming:
            task.cancel()
        await asyncio.gather(*(live.task for live in self._live.values()), return_exceptions=True)
        await asyncio.to_thread(self._store.close)

    async def _resume(self, job: Job) -> None:
        pictures = {info.name: (await self.blob(job.owner, job.id, info.name)).data for info in job.blobs}
        while True:
            try:
                lease = self._service.admission.enter(None)
                break
            except QueueFull as error:
                await asyncio.sleep(error.retry_after_s or 1.0)
        self._begin(job, Order.of(job.request, pictures), lease)

    def _begin(self, job: Job, order: Order, lease: Lease) -> None:
        live = self._live[job.id] = Live(job)
        live.task = asyncio.create_task(self._see_through(live, order, lease), name="retouch-job")
        live.task.add_done_callback(_retrieve)

    async def _see_through(self, live: Live, order: Order, lease: Lease) -> InpaintResult:
        """Do the work, and note how it ended."""
        service = self._service
        try:
            with lease:
                job_deadline_s = service.settings.job_deadline_s
                live.work = service.start(order.request, lease=lease, deadline_s=job_deadline_s)
                live.job = await service.aside(self._store.start, live.job.id)
                result = await live.work.result()
                outcome = await self._done(result, order)
        except Exception as caught:
            error = told_as(caught)
            if isinstance(error, Draining) and service.settings.resume_jobs:
                await service.aside(self._store.requeue, live.job.id)
            else:
                await self._note(live, ended_by(error))
            if error is caught:
                raise
            raise error from caught
        else:
            await self._note(live, outcome)
            return result
        finally:
            if live.work is not None:
                live.work.cancel()
            del self._live[live.job.id]

    async def _note(self, live: Live, outcome: Outcome) -> None:
        try:
            live.job = await self._service.aside(self._store.finish, live.job.id, outcome)
        except Conflict:  # it was cancelled meanwhile
            log.debug("a job had ended already")
        except StorageFailed as error:
            if not outcome.blobs:
                raise
            await self._note(live, ended_by(error))  # a few bytes more fit, where the pictures do not
            raise

    async def _done(self, result: InpaintResult, order: Order) -> Outcome:
        media_type = MEDIA_TYPES[order.format]
        blobs = [
            Blob(
                f"result/{index}",
                media_type,
                await self._service.encode(
                    result, order.format, index=index, metadata=True, quality=order.quality
                ),
            )
            for index in range(len(result.fills))
        ]
        mask = Blob("mask", "image/png", await self._service.aside(mask_file, result.mask))
        return Outcome(JobState.DONE, told_of(result), (*blobs, mask))


def _retrieve(task: "asyncio.Task[InpaintResult]") -> None:
    """Look at a task's error, so that asyncio does not report one that is in the store."""
    if not task.cancelled():
        task.exception()
