"""What a store keeps: who must go to make room, and when."""

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime
from typing import Self

from retouch.errors import QueueFull, RateLimited
from retouch.jobs import rows
from retouch.jobs.bundles import Bundle
from retouch.jobs.job import JobDraft
from retouch.jobs.store import JobLimits, Swept

_HELD = "SELECT coalesce(sum(size_bytes), 0), count(ended_at) FROM jobs WHERE expired_at IS NULL"
_UNFINISHED_BYTES = "SELECT coalesce(sum(size_bytes), 0) FROM jobs WHERE expired_at IS NULL AND ended_at IS NULL"
_UNFINISHED_OF_OWNER = "SELECT count(*) FROM jobs WHERE owner = ? AND ended_at IS NULL"
_FINISHED = "SELECT number FROM jobs WHERE expired_at IS NULL AND ended_at IS NOT NULL ORDER BY ended_at, number"
_NOT_EXPIRED = "SELECT number FROM jobs WHERE expired_at IS NULL"
_SIZE_IF_FINISHED = "SELECT size_bytes FROM jobs WHERE number = ? AND expired_at IS NULL AND ended_at IS NOT NULL"
_OVER_TIME = "SELECT number FROM jobs WHERE expired_at IS NULL AND ended_at <= ?"
_FORGET_OLD = "DELETE FROM jobs WHERE expired_at <= ?"
_FORGET_MANY = """
DELETE FROM jobs WHERE number IN (
    SELECT number FROM jobs WHERE expired_at IS NOT NULL ORDER BY expired_at DESC, number DESC LIMIT -1 OFFSET ?
)"""


class Recency:
    """The numbers of jobs in the order of their last use, which is to end or to have a blob read.

    In memory alone, because reading must not wait for the disk. It is a hint: what is finished, the table knows.
    Mutable, from any thread.
    """

    def __init__(self, numbers: Iterable[int]) -> None:
        self._order = OrderedDict.fromkeys(numbers)
        self._lock = threading.Lock()

    @classmethod
    def read(cls, connection: sqlite3.Connection) -> Self:
        """Return the order that is known after a start: that in which the finished jobs ended."""
        return cls(number for (number,) in connection.execute(_FINISHED))

    def learn(self, connection: sqlite3.Connection) -> None:
        """Add the finished jobs that are not known: those of other servers, as if they had ended now."""
        finished = [number for (number,) in connection.execute(_FINISHED)]
        with self._lock:
            for number in finished:
                self._order.setdefault(number, None)

    def note(self, number: int) -> None:
        """Make a job the one that was used last."""
        with self._lock:
            self._order[number] = None
            self._order.move_to_end(number)

    def in_order(self) -> list[int]:
        """Return all jobs, the one that was not used for longest first."""
        with self._lock:
            return list(self._order)

    def prune(self, connection: sqlite3.Connection) -> None:
        """Forget the jobs that are expired; not within a change, which may be undone."""
        noted = set(self.in_order())
        expired = noted - {number for (number,) in connection.execute(_NOT_EXPIRED)}
        with self._lock:
            for number in expired:
                self._order.pop(number, None)


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
    size_bytes = sum(len(blob.data) for blob in draft.blobs) + draft.beside_bytes
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
    held_bytes, finished = connection.execute(_HELD).fetchone()
    bytes_over, jobs_over = held_bytes - limits.total_bytes, finished - limits.finished_jobs
    if bytes_over <= 0 and jobs_over <= 0:
        return []
    recency.learn(connection)
    dropped = []
    for number in recency.in_order():
        if bytes_over <= 0 and jobs_over <= 0:
            break
        size = connection.execute(_SIZE_IF_FINISHED, (number,)).fetchone()
        if size and number != spare and (size[0] or jobs_over > 0):
            dropped.append(rows.expire(connection, number, now))
            bytes_over, jobs_over = bytes_over - size[0], jobs_over - 1
    return dropped


def sweep(
    connection: sqlite3.Connection, limits: JobLimits, recency: Recency, now: datetime
) -> tuple[Swept, list[Bundle]]:
    """Let jobs expire that are over their time or over the limits, and forget old or many expired ones."""
    over_time = connection.execute(_OVER_TIME, (rows.stamp(now - limits.time_to_live),)).fetchall()
    dropped = [rows.expire(connection, number, now) for (number,) in over_time]
    dropped += make_room(connection, limits, recency, now)
    forgotten = connection.execute(_FORGET_OLD, (rows.stamp(now - limits.remembered_for),)).rowcount
    forgotten += connection.execute(_FORGET_MANY, (limits.finished_jobs,)).rowcount
    return Swept(len(dropped), forgotten), dropped


def _number(connection: sqlite3.Connection, query: str, *values: str) -> int:
    number: int = connection.execute(query, values).fetchone()[0]
    return number
