"""A job: what was asked, how far it is, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from retouch.errors import Conflict, is_passing


class JobKind(StrEnum):
    """What kind of work it is."""

    INPAINT = "inpaint"
    BATCH = "batch"


class JobState(StrEnum):
    """How far a job is.

        queued ⇄ running → done | failed | blocked | cancelled | interrupted → expired

    All but `done` may follow `queued` at once: a prompt is blocked, a deadline passes, a server stops before the
    work begins. The way back to `queued` is taken when a server stops, or stopped, before the work was done.
    """

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    BLOCKED = "blocked"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    EXPIRED = "expired"


UNFINISHED = frozenset({JobState.QUEUED, JobState.RUNNING})
FINISHED = frozenset({JobState.DONE, JobState.FAILED, JobState.BLOCKED, JobState.CANCELLED, JobState.INTERRUPTED})

_FOLLOWERS: Mapping[JobState, frozenset[JobState]] = {
    JobState.QUEUED: FINISHED - {JobState.DONE} | {JobState.RUNNING},
    JobState.RUNNING: FINISHED | {JobState.QUEUED},
    **dict.fromkeys(FINISHED, frozenset({JobState.EXPIRED})),
    JobState.EXPIRED: frozenset(),
}


def check_transition(state: JobState, following: JobState) -> None:
    """Accept a change of state that can happen.

    Raises:
        Conflict: it cannot, such as when a job that was cancelled is to become done.
    """
    if following not in _FOLLOWERS[state]:
        raise Conflict(
            f"the job is {state} and cannot become {following}",
            hint="ask for the job's state: another request or its worker was faster",
        )


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes that go with a job, such as a picture.

    Attributes:
        name: unique among the blobs of the job at a time.
        media_type: as in `Content-Type`.
    """

    name: str
    media_type: str
    data: bytes = field(repr=False)

    @property
    def info(self) -> "BlobInfo":
        return BlobInfo(self.name, self.media_type, len(self.data))


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """What is known of a blob without reading it."""

    name: str
    media_type: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job ended without a result: the words of one of `errors.py`."""

    code: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class JobDraft:
    """A job as it is asked for.

    Attributes:
        owner: who asks; nobody else will see the job.
        request: the fields without pictures, as JSON; all that is needed, with `blobs`, to do the work.
        blobs: the pictures; kept until the job ends.
        idempotency_key: of the caller's choice; the same again, with the same fingerprint, is the same job.
        fingerprint: of the request as it came, with its route; needed where there is a key.
        beside_bytes: of files that are kept elsewhere as long as the job; they count as its blobs do.
        is_awaited: its client waits, and could not ask for it by a key: if the server dies, the client is told to
            send it again, and doing the job as well would be doing it twice.
    """

    owner: str
    kind: JobKind
    request: Mapping[str, Any] = field(repr=False)
    blobs: tuple[Blob, ...] = ()
    idempotency_key: str | None = None
    fingerprint: str = ""
    beside_bytes: int = 0
    is_awaited: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended.

    Attributes:
        state: one of `FINISHED`.
        result: what is to be told of it, as JSON.
        blobs: what came of it; they take the place of the blobs that it was given.
        error: why there is no result.
    """

    state: JobState
    result: Mapping[str, Any] | None = field(default=None, repr=False)
    blobs: tuple[Blob, ...] = ()
    error: Failure | None = None

    def __post_init__(self) -> None:
        assert self.state in FINISHED


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is kept.

    Attributes:
        id: random, unguessable; begins with a tag of its owner.
        created_at, started_at, ended_at: in UTC; None for what has not happened.
        attempts: how often its work was begun.
        request: as asked for; empty once expired.
        blobs: what it was given until it ends, what came of it afterwards; empty once expired.
    """

    id: str
    owner: str
    kind: JobKind
    state: JobState
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    attempts: int
    request: Mapping[str, Any] = field(repr=False)
    result: Mapping[str, Any] | None = field(repr=False)
    error: Failure | None
    blobs: tuple[BlobInfo, ...]

    @property
    def is_finished(self) -> bool:
        """Whether it has ended; expired jobs have."""
        return self.state not in UNFINISHED

    @property
    def is_worth_another_try(self) -> bool:
        """Whether it ended by what says nothing about its request, such as that the server stopped."""
        return self.error is not None and is_passing(self.error.code)
