"""Jobs of one server, or of several that share a folder: rows in SQLite, blobs as files beside it."""

import re
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

from retouch.errors import Conflict, Gone, InvalidField, NotFound, RetouchError, StorageFailed
from retouch.jobs import room, rows
from retouch.jobs.bundles import BlobFile, Bundle, BundleFolder
from retouch.jobs.database import Database
from retouch.jobs.folder import LockedFolder, opening
from retouch.jobs.job import Blob, Job, JobDraft, JobKind, JobState, Outcome, check_transition
from retouch.jobs.members import Members
from retouch.jobs.recovery import Recovery
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


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, eq=False)
class SqliteJobStore:
    """A `JobStore` in a folder that nobody else uses meanwhile, or members alone; made by `open`."""

    limits: JobLimits
    _folder: LockedFolder
    _database: Database
    _bundles: BundleFolder
    _recovery: Recovery
    _reserve: Reserve
    _recency: room.Recency
    _now: Callable[[], datetime]

    @classmethod
    def open(
        cls,
        folder: Path,
        limits: JobLimits | None = None,
        *,
        members: Members | None = None,
        now: Callable[[], datetime] = _utc_now,
    ) -> Self:
        """Open the store in a folder, or make it; delete what a crash left half-written.

        Args:
            members: those who share it; None is to have it alone.
        Raises:
            OutputInUse: another server keeps its jobs there, and does not share them.
            BadInput: the folder cannot be made or written.
            StorageFailed: what is in it cannot be used.
        """
        limits, is_shared = limits or JobLimits(), members is not None
        with ExitStack() as undo:
            locked = LockedFolder.take(folder, is_shared=is_shared)
            undo.callback(locked.release)
            with opening(folder) if is_shared else nullcontext():
                database = Database.open(
                    folder / "jobs.sqlite3",
                    schema=rows.SCHEMA,
                    version=rows.SCHEMA_VERSION,
                    upgrades=rows.UPGRADES,
                    is_shared=is_shared,
                )
                undo.callback(database.close)
            bundles = BundleFolder.make(folder / "blobs")
            with database.reading() as connection:
                recency = room.Recency.read(connection)
            recovery, reserve = Recovery(bundles, members, limits.attempts), Reserve(folder / "reserve")
            store = cls(limits, locked, database, bundles, recovery, reserve, recency, now)
            store._write(partial(recovery.settle_files, now=now()))
            undo.pop_all()
        reserve.fill()
        return store

    def earlier(self, draft: JobDraft) -> Submission | None:
        if draft.idempotency_key is not None and not _KEY.fullmatch(draft.idempotency_key):
            raise InvalidField("Idempotency-Key", "is not 1 to 255 printable ASCII characters")
        with self._database.reading() as connection:
            return self._find_earlier(connection, draft)

    def create(self, draft: JobDraft) -> Submission:
        if earlier := self.earlier(draft):  # a refusal writes no pictures
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
        with self.open_blob(owner, job_id, name) as file:
            return Blob(file.info.name, file.info.media_type, file.read())

    def open_blob(self, owner: str, job_id: str, name: str) -> BlobFile:
        row = self._row(owner, job_id)
        if row.job.state is JobState.EXPIRED:
            raise Gone("the job is expired, and its pictures are deleted", hint="send the request again")
        place = row.bundle.find(name)
        if place is None:
            raise NotFound("the job has no such picture now", hint=f"it is {row.job.state}")
        file = self._bundles.open(row.bundle, *place)
        if file is not None:
            self._recency.note(row.number)
            return file
        if self._row(owner, job_id).bundle == row.bundle:
            raise StorageFailed("a file of the job is missing", hint="send the request again")
        return self.open_blob(owner, job_id, name)  # it ended or expired meanwhile

    def cancel(self, owner: str, job_id: str) -> Job:
        return self._finish(self._row(owner, job_id).job.id, Outcome(JobState.CANCELLED), is_anyones=True)

    def start(self, job_id: str) -> Job:
        def change(connection: sqlite3.Connection) -> tuple[Job, Sequence[Bundle]]:
            row = self._row_to_change(connection, job_id, JobState.RUNNING)
            return rows.start(connection, row, self._now()), ()

        return self._write(change)

    def requeue(self, job_id: str) -> Job:
        def change(connection: sqlite3.Connection) -> tuple[Job, Sequence[Bundle]]:
            row = self._found(connection, job_id)
            attempts = row.job.attempts
            if row.job.state is not JobState.QUEUED:
                check_transition(row.job.state, JobState.QUEUED)
                attempts -= 1
            return rows.requeue(connection, row, attempts=attempts, server=None), ()

        return self._write(change)

    def finish(self, job_id: str, outcome: Outcome) -> Job:
        return self._finish(job_id, outcome)

    def weigh(self, job_id: str, beside_bytes: int) -> None:
        def change(connection: sqlite3.Connection) -> tuple[None, Sequence[Bundle]]:
            row = rows.find(connection, job_id)
            if row is None or row.job.is_finished:
                raise Conflict("the job has ended")
            self._check_ours(row)
            rows.weigh(connection, row, beside_bytes)
            return None, room.make_room(connection, self.limits, self._recency, self._now())

        self._write(change)

    def kept(self) -> Sequence[Job]:
        with self._database.reading() as connection:
            return [row.job for row in rows.select(connection, "WHERE expired_at IS NULL ORDER BY number", {})]

    def recover(self, *, resume: bool = False) -> Sequence[Job]:
        with self._database.reading() as connection:  # mostly there is nothing, and then nothing is written
            if not self._recovery.left(connection):
                return []
        settle = partial(self._recovery.settle_jobs, resume=resume, now=self._now(), on_end=self._recency.note)
        return self._write(settle)

    def ended(self, job_ids: Collection[str]) -> frozenset[str]:
        with self._database.reading() as connection:
            unfinished = {row.job.id for row in rows.select(connection, "WHERE ended_at IS NULL", {})}
        return frozenset(job_ids) - unfinished

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
        """Return the job that stands for a draft's key; where there is none, see that the draft may be kept."""
        key = draft.idempotency_key
        earlier = None if key is None else rows.find_by_key(connection, draft.owner, key)
        if earlier and earlier.fingerprint != draft.fingerprint:
            raise Conflict(
                "this Idempotency-Key came before with another request", hint="use a new key for a new request"
            )
        if earlier is None or earlier.job.is_worth_another_try:
            room.check_admission(connection, self.limits, draft)
            return None
        return Submission(earlier.job, is_new=False)

    def _insert(
        self, draft: JobDraft, bundle: Bundle, connection: sqlite3.Connection
    ) -> tuple[Submission, Sequence[Bundle]]:
        earlier = self._find_earlier(connection, draft)
        if earlier:  # two requests with one key at a time
            return earlier, ()
        if draft.idempotency_key is not None:
            rows.free_key(connection, draft.owner, draft.idempotency_key)
        now = self._now()
        job = rows.insert(connection, draft, bundle, now, server=self._recovery.server)
        return Submission(job, is_new=True), room.make_room(connection, self.limits, self._recency, now)

    def _finish(self, job_id: str, outcome: Outcome, *, is_anyones: bool = False) -> Job:
        with self._database.reading() as connection:  # a refusal writes no pictures
            self._row_to_change(connection, job_id, outcome.state, is_anyones=is_anyones)
        with self._bundled(outcome.blobs) as bundle:
            return self._write(partial(self._end, job_id, outcome, bundle, is_anyones))

    def _end(
        self, job_id: str, outcome: Outcome, bundle: Bundle, is_anyones: bool, connection: sqlite3.Connection
    ) -> tuple[Job, Sequence[Bundle]]:
        row = self._row_to_change(connection, job_id, outcome.state, is_anyones=is_anyones)
        now = self._now()
        job = rows.end(connection, row, outcome, bundle, now)
        self._recency.note(row.number)
        return job, [row.bundle, *room.make_room(connection, self.limits, self._recency, now, spare=row.number)]

    def _row_to_change(
        self, connection: sqlite3.Connection, job_id: str, following: JobState, *, is_anyones: bool = False
    ) -> Row:
        row = self._found(connection, job_id, is_anyones=is_anyones)
        check_transition(row.job.state, following)
        return row

    def _found(self, connection: sqlite3.Connection, job_id: str, *, is_anyones: bool = False) -> Row:
        """Return the row of a job that this server sees to; for a client's own wish that of any."""
        row = rows.find(connection, job_id)
        if row is None:
            raise _not_found()
        if not is_anyones:
            self._check_ours(row)
        return row

    def _check_ours(self, row: Row) -> None:
        if row.server != self._recovery.server and not row.job.is_finished:
            raise Conflict("another server sees to the job", hint="it took this one for gone")

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


def _not_found() -> NotFound:
    return NotFound("there is no such job", hint="ids are as they were given; old jobs are forgotten")
