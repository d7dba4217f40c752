"""Where jobs are kept: the protocol, so that several servers can have one store behind them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from retouch.jobs.job import Blob, BlobInfo, Job, JobDraft, JobKind, JobState, Outcome

PAGE_LIMIT = 100


@dataclass(frozen=True, slots=True)
class JobLimits:
    """What a store keeps, and for how long.

    Attributes:
        unfinished_per_owner: jobs of one owner that wait or run at a time.
        total_bytes: of all blobs. The finished jobs that were not used for longest expire to make room; where
            unfinished ones alone fill it, new ones are refused. What comes of the last of them may go over it.
        finished_jobs: more of them, and those that were not used for longest expire. So many expired ones are
            known at a time, too.
        time_to_live: after its end a job expires.
        remembered_for: an expired job is known as such so long.
        attempts: a job that was running in so many crashes is not begun again: it may be their cause.
    """

    unfinished_per_owner: int = 16
    total_bytes: int = 2 << 30
    finished_jobs: int = 10_000
    time_to_live: timedelta = timedelta(hours=24)
    remembered_for: timedelta = timedelta(hours=24)
    attempts: int = 3


@dataclass(frozen=True, slots=True)
class Submission:
    """What `create` answers; not `is_new`: the job that the same key made before."""

    job: Job
    is_new: bool


class BlobStream(Protocol):
    """A blob that is read in pieces, whatever becomes of its job meanwhile."""

    @property
    def info(self) -> BlobInfo: ...

    def read(self, size_bytes: int) -> bytes:
        """Return the next bytes, so many at most; empty at its end.

        Raises:
            StorageFailed: they cannot be read.
        """

    def close(self) -> None:
        """Let go of it."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list; `next_after`, where not None, gives the one that follows."""

    jobs: Sequence[Job]
    next_after: str | None


@dataclass(frozen=True, slots=True)
class Swept:
    """How many jobs a sweep made expire, and forgot."""

    expired: int
    forgotten: int


class JobStore(Protocol):
    """Jobs and their blobs; what a method changed is durable when it returns. Usable from any thread.

    Methods that take an owner are for callers: a job of somebody else is not found, as if there were none. The
    others are for the server's own workers; where several servers share the store, each changes the jobs that it
    sees to: those that it took in, or over. Every method may raise `StorageFailed`, and after `close` `Draining`;
    nothing was changed then. Calls wait for the disk: not for an event loop's thread.
    """

    def create(self, draft: JobDraft) -> Submission:
        """Keep a new job, `queued`; or find the one that the draft's idempotency key made before.

        A key is free for a new job where that one ended by what may be gone now (`Job.is_worth_another_try`).

        Raises:
            Conflict: the key was used with another fingerprint.
            RateLimited: the owner has as many unfinished jobs as one may have.
            QueueFull: unfinished jobs hold all room.
            InvalidField: the key is too long, or not printable ASCII.
        """

    def earlier(self, draft: JobDraft) -> Submission | None:
        """Return what `create` would find; None where it would keep a new job.

        Raises:
            Conflict, RateLimited, QueueFull, InvalidField: as for `create`.
        """

    def get(self, owner: str, job_id: str) -> Job:
        """Return a job as it is now.

        Raises:
            NotFound: the owner has none of this id, or it expired so long ago that it is forgotten.
        """

    def page(
        self,
        owner: str,
        *,
        state: JobState | None = None,
        kind: JobKind | None = None,
        after: str | None = None,
        limit: int = 20,
    ) -> Page:
        """Return the owner's jobs, newest first.

        Args:
            after: the id that the last page ended with.
            limit: 1..`PAGE_LIMIT`.
        Raises:
            InvalidField: `after` names no job, or `limit` is out of range.
        """

    def blob(self, owner: str, job_id: str, name: str) -> Blob:
        """Return one of a job's blobs, as `Job.blobs` lists them.

        Raises:
            NotFound: there is no such job, or it has no such blob now.
            Gone: the job is expired.
        """

    def open_blob(self, owner: str, job_id: str, name: str) -> BlobStream:
        """Open one of a job's blobs to be read in pieces; the caller closes it.

        Raises:
            NotFound, Gone: as for `blob`.
        """

    def cancel(self, owner: str, job_id: str) -> Job:
        """End a job that waits or runs. To stop the work itself is the caller's part.

        Raises:
            NotFound: the owner has no such job.
            Conflict: it has ended.
        """

    def start(self, job_id: str) -> Job:
        """Note that the work is begun.

        Raises:
            Conflict: it is not queued (any more), or another server's.
        """

    def requeue(self, job_id: str) -> Job:
        """Put a running job back, because the server stops in good order; the attempt does not count.

        A job that still waits goes on waiting. Of several servers any other may take it now.

        Raises:
            Conflict: it has ended, or is another server's.
        """

    def finish(self, job_id: str, outcome: Outcome) -> Job:
        """Note how a job ended; what it was given is deleted, what came of it is kept.

        Raises:
            Conflict: it has ended already, such as by `cancel`, or is another server's.
        """

    def recover(self, *, resume: bool = False) -> Sequence[Job]:
        """Settle what servers left unfinished that are gone, and return those jobs, oldest first.

        For after a start; where several servers share the store, also for now and then.

        Args:
            resume: jobs become `queued`, for this server to do, where their blobs are whole, they were not begun
                too often and were not awaited; otherwise all become `interrupted`.
        """

    def ended(self, job_ids: Collection[str]) -> frozenset[str]:
        """Return which of some jobs have ended: another server may have cancelled one."""

    def weigh(self, job_id: str, beside_bytes: int) -> None:
        """Note how large the files have become that are kept elsewhere for an unfinished job.

        Finished jobs expire to make room for them.

        Raises:
            Conflict: it has ended.
        """

    def kept(self) -> Sequence[Job]:
        """Return all jobs that are not expired, oldest first: what else is kept for a job goes with it."""

    def sweep(self) -> Swept:
        """Let jobs expire whose time is over, and forget those that expired long ago; for every minute or so."""

    def close(self) -> None:
        """Let go of files and locks; unfinished jobs stay as they are."""
