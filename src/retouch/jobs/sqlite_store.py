"""Jobs of one machine: rows in SQLite, blobs as files beside it."""

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

from retouch.errors import Conflict, Gone, InvalidField, NotFound, RetouchError, StorageFailed
from retouch.jobs import room, rows
from retouch.jobs.bundles import NO_BLOBS, Bundle, BundleFolder
from retouch.jobs.database import Database
from retouch.jobs.folder import LockedFolder
from retouch.jobs.job import (
    Blob,
    Failure,
    Job,
    JobDraft,
    JobKind,
    JobState,
    Outcome,
    check_transition,
)
from retouch.jobs.reserve import Reserve
from retouch.jobs.rows import Row
from retouch.jobs.store import PAGE_LIMIT, JobLimits, JobStore, Page, Submission, Swept

T = TypeVar("T")
Change = Callable[[sqlite3.Connection], tuple[T, Sequence[Bundle]]]

_MAX_NUMBER = 2**63 - 1
_JOB_ID = re.compile(r"job_[0-9a-f]{8}_[0-9a-f]{32}")
_KEY = re.compile(r"[ -~]{1,255}")
_PAGE = """
WHERE owner = :owner AND number < :before
    AND (:state IS NULL OR state = :state) AND (:kind IS NULL OR kind = :kind)
ORDER BY number DESC LIMIT :limit"""

_INTERRUPTED = Outcome(
    JobState.INTERRUPTED,
    error=Failure("interrupted", "the server stopped before the work was done", "send the request again"),
)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, eq=False)
class SqliteJobStore:
    """A `JobStore` in a folder that no other process uses meanwhile; made by `open`."""

    limits: JobLimits
    _folder: LockedFolder
    _database: Database
    _bundles: BundleFolder
    _reserve: Reserve
    _recency: room.Recency
    _now: Callable[[], datetime]

    @classmethod
    def open(
        cls, folder: Path, limits: JobLimits | None = None, *, now: Callable[[], datetime] = _utc_now
    ) -> Self:
        """Open the store in a folder, or make it; delete what a crash left half-written.

        Raises:
            OutputInUse: another server keeps its jobs there.
            BadInput: the folder cannot be made or written.
            StorageFailed: what is in it cannot be used.
        """
        with ExitStack() as undo:
            locked = LockedFolder.take(folder)
            undo.callback(locked.release)
            database = Database.open(folder / "jobs.sqlite3", schema=rows.SCHEMA, version=rows.SCHEMA_VERSION)
            undo.callback(database.close)
            bundles = BundleFolder.make(folder / "blobs")
            with database.reading() as connection:
                recency = room.Recency.read(connection)
            reserve = Reserve(folder / "reserve")
            store = cls(limits or JobLimits(), locked, database, bundles, reserve, recency, now)
            store._settle_files()
            undo.pop_all()
        reserve.fill()
        return store

    def create(self, draft: JobDraft) -> Submission:
        if draft.idempotency_key is not None and not _KEY.fullmatch(draft.idempotency_key):
            raise InvalidField("Idempotency-Key", "is not 1 to 255 printable ASCII characters")
        with self._database.reading() as connection:  # a refusal writes no pictures
            earlier = self._find_earlier(connection, draft)
        if earlier:
            return earlier
        with self._bundled(draft.blobs) as bundle:
            return self._write(partial(self._insert, draft, bundle), may_spend_reserve=False)

    def get(self, owner: str, job_id: str) -> Job:
        return self._row(owner, job_id).job

    def page(
        self,
        owner: str,
        *,
        state: JobState | None = None,
        kind: JobKind | None = None,
        after: str | None = None,
        limit: int = 20,
    ) -> Page:
        if not 1 <= limit <= PAGE_LIMIT:
            raise InvalidField("limit", f"is {limit}", hint=f"from 1 to {PAGE_LIMIT}")
        values = {
            "owner": owner,
            "state": state,
            "kind": kind,
            "before": self._number(owner, after),
            "limit": limit + 1,
        }
        with self._database.reading() as connection:
            jobs = [row.job for row in rows.select(connection, _PAGE, values)]
        return Page(jobs[:limit], jobs[limit - 1].id if len(jobs) > limit else None)

    def blob(self, owner: str, job_id: str, name: str) -> Blob:
        row = self._row(owner, job_id)
        if row.job.state is JobState.EXPIRED:
            raise Gone("the job is expired, and its pictures are deleted", hint="send the request again")
        place = row.bundle.find(name)
        if place is None:
            raise NotFound("the job has no such picture now", hint=f"it is {row.job.state}")
        blob = self._bundles.read(row.bundle, *place)
        if blob is not None:
            self._recency.note(row.number)
            return blob
        if self._row(owner, job_id).bundle == row.bundle:
            raise StorageFailed("a file of the job is missing", hint="send the request again")
        return self.blob(owner, job_id, name)  # it ended or expired meanwhile

    def cancel(self, owner: str, job_id: str) -> Job:
        return self.finish(self._row(owner, job_id).job.id, Outcome(JobState.CANCELLED))

    def start(self, job_id: str) -> Job:
        def change(connection: sqlite3.Connection) -> tuple[Job, Sequence[Bundle]]:
            row = _row_to_change(connection, job_id, JobState.RUNNING)
            return rows.start(connection, row, self._now()), ()

        return self._write(change)

    def requeue(self, job_id: str) -> Job:
        def change(connection: sqlite3.Connection) -> tuple[Job, Sequence[Bundle]]:
            row = rows.find(connection, job_id)
            if row and row.job.state is JobState.QUEUED:
                return row.job, ()
            row = _row_to_change(connection, job_id, JobState.QUEUED)
            return rows.requeue(connection, row, attempts=row.job.attempts - 1), ()

        return self._write(change)

    def finish(self, job_id: str, outcome: Outcome) -> Job:
        with self._database.reading() as connection:  # a refusal writes no pictures
            _row_to_change(connection, job_id, outcome.state)
        with self._bundled(outcome.blobs) as bundle:
            return self._write(partial(self._end, job_id, outcome, bundle))

    def weigh(self, job_id: str, beside_bytes: int) -> None:
        def change(connection: sqlite3.Connection) -> tuple[None, Sequence[Bundle]]:
            row = rows.find(connection, job_id)
            if row is None or row.job.is_finished:
                raise Conflict("the job has ended")
            rows.weigh(connection, row, beside_bytes)
            return None, room.make_room(connection, self.limits, self._recency, self._now())

        self._write(change)

    def kept(self) -> Sequence[Job]:
        with self._database.reading() as connection:
            return [row.job for row in rows.select(connection, "WHERE expired_at IS NULL ORDER BY number", {})]

    def recover(self, *, resume: bool = False) -> Sequence[Job]:
        return self._write(partial(self._settle_unfinished, resume))

    def sweep(self) -> Swept:
        swept = self._write(partial(room.sweep, limits=self.limits, recency=self._recency, now=self._now()))
        with self._database.reading() as connection:
            self._recency.prune(connection)
        self._reserve.fill()
        return swept

    def close(self) -> None:
        if self._database.close():
            self._folder.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _row(self, owner: str, job_id: str) -> Row:
        """Return the row of an owner's job; another's is not told from none."""
        if _JOB_ID.fullmatch(job_id):
            with self._database.reading() as connection:
                row = rows.find(connection, job_id)
            if row and row.job.owner == owner:
                return row
        raise _not_found()

    def _number(self, owner: str, after: str | None) -> int:
        """Return the number below which those of the jobs after `after` are."""
        if after is None:
            return _MAX_NUMBER
        try:
            return self._row(owner, after).number
        except NotFound as error:
            raise InvalidField("after", "is the id of no job", hint="begin at the first page again") from error

    def _find_earlier(self, connection: sqlite3.Connection, draft: JobDraft) -> Submission | None:
        """Return the job that a draft's key made before; where there is none, see that the draft may be kept."""
        key = draft.idempotency_key
        earlier = None if key is None else rows.find_by_key(connection, draft.owner, key)
        if earlier is None:
            room.check_admission(connection, self.limits, draft)
            return None
        if earlier.fingerprint != draft.fingerprint:
            raise Conflict(
                "this Idempotency-Key came before with another request", hint="use a new key for a new request"
            )
        return Submission(earlier.job, is_new=False)

    def _insert(
        self, draft: JobDraft, bundle: Bundle, connection: sqlite3.Connection
    ) -> tuple[Submission, Sequence[Bundle]]:
        earlier = self._find_earlier(connection, draft)
        if earlier:  # two requests with one key at a time
            return earlier, ()
        now = self._now()
        job = rows.insert(connection, draft, bundle, now)
        return Submission(job, is_new=True), room.make_room(connection, self.limits, self._recency, now)

    def _end(
        self, job_id: str, outcome: Outcome, bundle: Bundle, connection: sqlite3.Connection
    ) -> tuple[Job, Sequence[Bundle]]:
        row, now = _row_to_change(connection, job_id, outcome.state), self._now()
        job = rows.end(connection, row, outcome, bundle, now)
        self._recency.note(row.number)
        return job, [row.bundle, *room.make_room(connection, self.limits, self._recency, now, spare=row.number)]

    def _settle_unfinished(
        self, resume: bool, connection: sqlite3.Connection
    ) -> tuple[Sequence[Job], Sequence[Bundle]]:
        present, jobs, dropped = self._bundles.present(), [], []
        for row in rows.select(connection, "WHERE ended_at IS NULL ORDER BY number", {}):
            is_whole = row.bundle.file is None or row.bundle.file in present
            if resume and is_whole and row.job.attempts < self.limits.attempts:
                jobs.append(rows.requeue(connection, row, attempts=row.job.attempts))
            else:
                jobs.append(rows.end(connection, row, _INTERRUPTED, NO_BLOBS, self._now()))
                self._recency.note(row.number)
                dropped.append(row.bundle)
        return jobs, dropped

    def _settle_files(self) -> None:
        """After a start: delete files that no job names; let finished jobs expire whose file is missing."""
        present = self._bundles.present()

        def change(connection: sqlite3.Connection) -> tuple[set[str | None], Sequence[Bundle]]:
            named = rows.select(connection, "WHERE file IS NOT NULL", {})
            for row in named:
                if row.job.is_finished and row.bundle.file not in present:
                    rows.expire(connection, row.number, self._now())
            return {row.bundle.file for row in named}, ()

        named = self._write(change)
        self._bundles.delete(Bundle(file, ()) for file in present if file not in named)

    @contextmanager
    def _bundled(self, blobs: Sequence[Blob]) -> Iterator[Bundle]:
        """Write blobs; they stay if a job names them after the block, however it ended."""
        bundle = self._bundles.write(blobs)
        try:
            yield bundle
        finally:
            if not self._is_named(bundle):
                self._bundles.delete([bundle])

    def _is_named(self, bundle: Bundle) -> bool:
        with suppress(RetouchError), self._database.reading() as connection:
            return bool(rows.select(connection, "WHERE file = :file", {"file": bundle.file}))
        return True  # not known: the next start will see

    def _write(self, change: Change[T], *, may_spend_reserve: bool = True) -> T:
        """Commit a change, then delete the files that it dropped; on a full disk with the reserve's help."""
        try:
            value, dropped = self._database.write(change)
        except StorageFailed:
            if not (may_spend_reserve and self._reserve.spend()):
                raise
            value, dropped = self._database.write(change)
        self._bundles.delete(dropped)
        return value


# The signatures are compared here, and not only where a server first uses the store.
_CONFORMS: type[JobStore] = SqliteJobStore


def _row_to_change(connection: sqlite3.Connection, job_id: str, following: JobState) -> Row:
    row = rows.find(connection, job_id)
    if row is None:
        raise _not_found()
    check_transition(row.job.state, following)
    return row


def _not_found() -> NotFound:
    return NotFound("there is no such job", hint="ids are as they were given; old jobs are forgotten")
