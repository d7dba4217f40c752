"""Jobs as rows of a table: its schema, and what is read from it and written to it."""

import hashlib
import json
import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from retouch.jobs.bundles import Bundle
from retouch.jobs.job import BlobInfo, Failure, Job, JobDraft, JobKind, JobState, Outcome

SCHEMA_VERSION = 2
UPGRADES = {
    1: """
ALTER TABLE jobs ADD COLUMN server TEXT;
ALTER TABLE jobs ADD COLUMN is_awaited INTEGER NOT NULL DEFAULT 0
"""
}

# The order of jobs is `number`, which only grows, and never a time, which a clock may set back. Times are micro-
# seconds since 1970. A job is unfinished while `ended_at` is null, and takes room while `expired_at` is. Of
# several servers `server` sees to it; null is nobody.
SCHEMA = """
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at INTEGER,
    expired_at INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    request TEXT NOT NULL,
    result TEXT,
    error TEXT,
    idempotency_key TEXT,
    fingerprint TEXT NOT NULL,
    file TEXT UNIQUE,
    blobs TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    server TEXT,
    is_awaited INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX jobs_by_key ON jobs (owner, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX jobs_of_owner ON jobs (owner, number);
CREATE INDEX jobs_unfinished ON jobs (owner) WHERE ended_at IS NULL;
CREATE INDEX jobs_with_room ON jobs (ended_at, size_bytes) WHERE expired_at IS NULL;
CREATE INDEX jobs_expired ON jobs (expired_at) WHERE expired_at IS NOT NULL
"""

SELECT = """
SELECT number, id, owner, kind, state, created_at, started_at, ended_at, attempts, request, result, error,
    fingerprint, file, blobs, server, is_awaited
FROM jobs """

_INSERT = """
INSERT INTO jobs
    (id, owner, kind, state, created_at, request, idempotency_key, fingerprint, file, blobs, size_bytes,
    is_awaited, server)
VALUES (?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?, ?, ?)"""

_END = """
UPDATE jobs SET state = ?, ended_at = ?, result = ?, error = ?, file = ?, blobs = ?, size_bytes = size_bytes + ?
WHERE number = ?"""

_EXPIRE = """
UPDATE jobs SET state = 'expired', expired_at = ?, request = '{}', result = NULL, error = NULL, file = NULL,
    blobs = '[]', size_bytes = 0
WHERE number = ?"""


@dataclass(frozen=True, slots=True)
class Row:
    """A job with what callers do not see of it.

    Attributes:
        server: of several the one that sees to it; None is nobody, or the only one.
        is_awaited: as in `JobDraft`.
    """

    number: int
    job: Job
    fingerprint: str
    bundle: Bundle
    server: str | None
    is_awaited: bool


def find(connection: sqlite3.Connection, job_id: str) -> Row | None:
    """Return the row of a job, whoever owns it."""
    return _one(connection.execute(SELECT + "WHERE id = ?", (job_id,)))


def find_by_key(connection: sqlite3.Connection, owner: str, idempotency_key: str) -> Row | None:
    """Return the row of the job that an owner's key made."""
    return _one(connection.execute(SELECT + "WHERE owner = ? AND idempotency_key = ?", (owner, idempotency_key)))


def insert(
    connection: sqlite3.Connection, draft: JobDraft, bundle: Bundle, now: datetime, *, server: str | None
) -> Job:
    """Add a queued job that a server sees to."""
    job_id = f"job_{_tag(draft.owner)}_{secrets.token_hex(16)}"
    request = _json(draft.request)
    values = (job_id, draft.owner, draft.kind, stamp(now), request, draft.idempotency_key, draft.fingerprint)
    files = (bundle.file, _listed(bundle), bundle.size_bytes + draft.beside_bytes)
    connection.execute(_INSERT, (*values, *files, draft.is_awaited, server))
    return _again(connection, job_id)


def free_key(connection: sqlite3.Connection, owner: str, idempotency_key: str) -> None:
    """Let an owner's key make another job than it did."""
    change = "UPDATE jobs SET idempotency_key = NULL WHERE owner = ? AND idempotency_key = ?"
    connection.execute(change, (owner, idempotency_key))


def start(connection: sqlite3.Connection, row: Row, now: datetime) -> Job:
    """Make a job running."""
    change = "UPDATE jobs SET state = 'running', started_at = ?, attempts = attempts + 1 WHERE number = ?"
    connection.execute(change, (stamp(now), row.number))
    return _again(connection, row.job.id)


def requeue(connection: sqlite3.Connection, row: Row, *, attempts: int, server: str | None) -> Job:
    """Make a job wait again, as if it had been begun so often, for a server; None is whoever takes it."""
    change = "UPDATE jobs SET state = 'queued', started_at = NULL, attempts = ?, server = ? WHERE number = ?"
    connection.execute(change, (attempts, server, row.number))
    return _again(connection, row.job.id)


def end(connection: sqlite3.Connection, row: Row, outcome: Outcome, bundle: Bundle, now: datetime) -> Job:
    """Give a job its outcome, and its blobs for those that it has."""
    result = None if outcome.result is None else _json(outcome.result)
    error = None if outcome.error is None else _json(asdict(outcome.error))
    values = (outcome.state, stamp(now), result, error, bundle.file, _listed(bundle))
    connection.execute(_END, (*values, bundle.size_bytes - row.bundle.size_bytes, row.number))
    return _again(connection, row.job.id)


def weigh(connection: sqlite3.Connection, row: Row, beside_bytes: int) -> None:
    """Count the files that are kept elsewhere for a job."""
    size_bytes = row.bundle.size_bytes + beside_bytes
    connection.execute("UPDATE jobs SET size_bytes = ? WHERE number = ?", (size_bytes, row.number))


def expire(connection: sqlite3.Connection, number: int, now: datetime) -> Bundle:
    """Forget all of a job but that it was; return the bundle that it had."""
    row = _one(connection.execute(SELECT + "WHERE number = ?", (number,)))
    assert row
    connection.execute(_EXPIRE, (stamp(now), number))
    return row.bundle


def select(connection: sqlite3.Connection, condition: str, values: Mapping[str, Any]) -> list[Row]:
    """Return the rows that a condition, `WHERE` and what follows it, selects."""
    return [_read(row) for row in connection.execute(SELECT + condition, values)]


def stamp(time: datetime) -> int:
    """Return a time as it is kept."""
    return (time - _EPOCH) // timedelta(microseconds=1)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _time(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _tag(owner: str) -> str:
    """What tells one owner's jobs from another's in a log, without saying whose they are."""
    return hashlib.sha256(owner.encode()).hexdigest()[:8]


def _json(value: Any) -> str:
    # Escaped to ASCII: a text may hold half a surrogate pair, which SQLite cannot keep.
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def _listed(bundle: Bundle) -> str:
    return _json([[info.name, info.media_type, info.size_bytes] for info in bundle.blobs])


def _one(cursor: sqlite3.Cursor) -> Row | None:
    values = cursor.fetchone()
    return _read(values) if values else None


def _again(connection: sqlite3.Connection, job_id: str) -> Job:
    row = find(connection, job_id)
    assert row
    return row.job


def _read(values: tuple[Any, ...]) -> Row:
    number, job_id, owner, kind, state, created, started, ended, attempts, request, *rest = values
    result, error, fingerprint, file, blobs, server, is_awaited = rest
    bundle = Bundle(file, tuple(BlobInfo(*info) for info in json.loads(blobs)))
    job = Job(
        id=job_id,
        owner=owner,
        kind=JobKind(kind),
        state=JobState(state),
        created_at=_time(created),
        started_at=None if started is None else _time(started),
        ended_at=None if ended is None else _time(ended),
        attempts=attempts,
        request=json.loads(request),
        result=None if result is None else json.loads(result),
        error=None if error is None else Failure(**json.loads(error)),
        blobs=bundle.blobs,
    )
    return Row(number, job, fingerprint, bundle, server, bool(is_awaited))
