"""What a store keeps: who must go to make room, and when."""

import sqlite3
from datetime import datetime

from retouch.errors import QueueFull, RateLimited
from retouch.jobs import rows
from retouch.jobs.bundles import Bundle
from retouch.jobs.job import JobDraft
from retouch.jobs.store import JobLimits, Swept

# What takes part in the answer of an index alone, because `create` asks it each time.
_BYTES = "SELECT coalesce(sum(size_bytes), 0) FROM jobs WHERE expired_at IS NULL"
_UNFINISHED_BYTES = _BYTES + " AND ended_at IS NULL"
_FINISHED = "SELECT number, ended_at, size_bytes FROM jobs WHERE expired_at IS NULL AND ended_at IS NOT NULL"
_FINISHED_COUNT = "SELECT count(*) FROM jobs WHERE expired_at IS NULL AND ended_at IS NOT NULL"
_UNFINISHED_OF_OWNER = "SELECT count(*) FROM jobs WHERE owner = ? AND ended_at IS NULL"
_OVER_TIME = _FINISHED + " AND ended_at <= ?"
_FORGET_OLD = "DELETE FROM jobs WHERE expired_at <= ?"
_FORGET_MANY = """
DELETE FROM jobs WHERE number IN (
    SELECT number FROM jobs WHERE expired_at IS NOT NULL ORDER BY expired_at DESC, number DESC LIMIT -1 OFFSET ?
)"""


class Recency:
    """When the blobs of jobs were last read; in memory, because reading must not wait for the disk.

    Mutable; each method is one step of a dictionary, so any thread may call it.
    """

    def __init__(self) -> None:
        self._read_at: dict[int, int] = {}

    def note(self, number: int, now: datetime) -> None:
        self._read_at[number] = rows.stamp(now)

    def last_use(self, number: int, ended_at: int) -> int:
        """When a job ended, or its blobs were read after that."""
        return max(ended_at, self._read_at.get(number, ended_at))

    def prune(self, before: datetime) -> None:
        """Forget what was read before a time."""
        for number, read_at in list(self._read_at.items()):
            if read_at < rows.stamp(before):
                self._read_at.pop(number, None)


def check_admission(connection: sqlite3.Connection, limits: JobLimits, draft: JobDraft) -> None:
    """Accept one more job.

    Raises:
        RateLimited: the owner has as many unfinished jobs as one may have.
        QueueFull: unfinished jobs leave no room for it.
    """
    if _number(connection, _UNFINISHED_OF_OWNER, draft.owner) >= limits.unfinished_per_owner:
        raise RateLimited(
            f"{limits.unfinished_per_owner} of your jobs wait or run, and no more may",
            hint="wait for one of them to end, or cancel one",
        )
    size_bytes = sum(len(blob.data) for blob in draft.blobs)
    if _number(connection, _UNFINISHED_BYTES) + size_bytes > limits.total_bytes:
        raise QueueFull("there is no room for the pictures of one more job", hint="come again when some are done")


def make_room(
    connection: sqlite3.Connection,
    limits: JobLimits,
    recency: Recency,
    now: datetime,
    *,
    spare: int | None = None,
) -> list[Bundle]:
    """Let finished jobs expire, those first that were not used for longest, until the rest is within the limits.

    Args:
        spare: the number of a job that stays, whatever its size.
    Returns:
        The bundles to delete after the commit.
    """
    bytes_over = _number(connection, _BYTES) - limits.total_bytes
    jobs_over = _number(connection, _FINISHED_COUNT) - limits.finished_jobs
    if bytes_over <= 0 and jobs_over <= 0:
        return []
    dropped = []
    finished = connection.execute(_FINISHED).fetchall()
    for number, _, size in sorted(finished, key=lambda job: (recency.last_use(job[0], job[1]), job[0])):
        if bytes_over <= 0 and jobs_over <= 0:
            break
        if number != spare and (size or jobs_over > 0):
            dropped.append(rows.expire(connection, number, now))
            bytes_over, jobs_over = bytes_over - size, jobs_over - 1
    return dropped


def sweep(
    connection: sqlite3.Connection, limits: JobLimits, recency: Recency, now: datetime
) -> tuple[Swept, list[Bundle]]:
    """Let jobs expire that are over their time or over the limits, and forget old or many expired ones."""
    over_time = connection.execute(_OVER_TIME, (rows.stamp(now - limits.time_to_live),)).fetchall()
    dropped = [rows.expire(connection, number, now) for number, *_ in over_time]
    dropped += make_room(connection, limits, recency, now)
    forgotten = connection.execute(_FORGET_OLD, (rows.stamp(now - limits.remembered_for),)).rowcount
    forgotten += connection.execute(_FORGET_MANY, (limits.finished_jobs,)).rowcount
    return Swept(len(dropped), forgotten), dropped


def _number(connection: sqlite3.Connection, query: str, *values: str) -> int:
    number: int = connection.execute(query, values).fetchone()[0]
    return number
