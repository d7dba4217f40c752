"""What servers left that are gone: jobs that they did not end, and files that no job names."""

import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from retouch.errors import Interrupted
from retouch.jobs import rows
from retouch.jobs.bundles import NO_BLOBS, Bundle, BundleFolder
from retouch.jobs.job import Failure, Job, JobState, Outcome
from retouch.jobs.members import Members
from retouch.jobs.rows import Row

_UNFINISHED = "WHERE ended_at IS NULL ORDER BY number"
_AT_WORK_S = 3600.0
"""A file that is younger may be one that another server writes just now."""

_INTERRUPTED = Outcome(
    JobState.INTERRUPTED,
    error=Failure(Interrupted.code, "the server stopped before the work was done", "send the request again"),
)


@dataclass(frozen=True, slots=True)
class Recovery:
    """What is settled for others.

    Attributes:
        bundles: of the store.
        members: the servers that share it; None is one that has it alone, so that all that is left is for it.
        attempts: a job that was begun so often is not begun again.
    """

    bundles: BundleFolder
    members: Members | None
    attempts: int

    @property
    def server(self) -> str | None:
        """Who this is to the others."""
        return None if self.members is None else self.members.id

    def left(self, connection: sqlite3.Connection) -> list[Row]:
        """Return the unfinished jobs that nobody sees to, oldest first."""
        unfinished = rows.select(connection, _UNFINISHED, {})
        if self.members is None:
            return unfinished
        lost = self.members.lost({row.server for row in unfinished if row.server is not None})
        return [row for row in unfinished if row.server is None or row.server in lost]

    def settle_jobs(
        self,
        connection: sqlite3.Connection,
        *,
        resume: bool,
        now: datetime,
        on_end: Callable[[int], None],
    ) -> tuple[Sequence[Job], Sequence[Bundle]]:
        """Take unfinished jobs over, or end them; return them, and the bundles to delete after the commit.

        Args:
            on_end: is told the number of each job that ended.
        """
        present, jobs, dropped = self.bundles.present(), [], []
        for row in self.left(connection):
            is_whole = row.bundle.file is None or self._is_there(row.bundle.file, present)
            if resume and is_whole and not row.is_awaited and row.job.attempts < self.attempts:
                jobs.append(rows.requeue(connection, row, attempts=row.job.attempts, server=self.server))
            else:
                jobs.append(rows.end(connection, row, _INTERRUPTED, NO_BLOBS, now))
                on_end(row.number)
                dropped.append(row.bundle)
        return jobs, dropped

    def settle_files(self, connection: sqlite3.Connection, now: datetime) -> tuple[None, Sequence[Bundle]]:
        """Let finished jobs expire whose file is missing; return the files that no job names."""
        # Looked at within the change: no other server can name a file meanwhile.
        present = self.bundles.present()
        named = rows.select(connection, "WHERE file IS NOT NULL", {})
        for row in named:
            if row.job.is_finished and row.bundle.file and not self._is_there(row.bundle.file, present):
                rows.expire(connection, row.number, now)
        unnamed = present - {row.bundle.file for row in named}
        if self.members is not None:
            unnamed = self.bundles.older_than(time.time() - _AT_WORK_S, unnamed)
        return None, [Bundle(file, ()) for file in unnamed]

    def _is_there(self, file: str, present: Collection[str]) -> bool:
        # A network's file system may list a folder as it was some seconds ago; the file itself it looks for.
        return file in present or (self.bundles.path / file).exists()
