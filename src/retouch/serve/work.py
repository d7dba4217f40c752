"""One request under way, as those see it who wait for it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from retouch.engine.ticket import Progress
from retouch.errors import Cancelled, RetouchError
from retouch.job import Job
from retouch.request import InpaintRequest
from retouch.result import InpaintResult
from retouch.serve.admission import Lease


class Work:
    """One request under way."""

    def __init__(self, request: InpaintRequest, lease: Lease, *, deadline_s: float) -> None:
        self.request = request
        self.lease = lease
        self.deadline_s = deadline_s
        self.job: Job | None = None
        self.task: asyncio.Task[InpaintResult]
        self._preview: tuple[int, asyncio.Task[bytes | None]] | None = None
        self._ended_by: RetouchError = Cancelled("the work was cancelled")

    @property
    def progress(self) -> Progress | None:
        """How far it is; None while its pictures are decoded."""
        return None if self.job is None else self.job.progress

    @property
    def steps(self) -> dict[str, int | None]:
        """Its progress as clients are told of it."""
        progress = self.progress
        return {"step": 0, "total": None} if progress is None else {"step": progress.step, "total": progress.total}

    @property
    def has_begun(self) -> bool:
        """Whether its first step is done."""
        progress = self.progress
        return progress is not None and progress.step > 0

    async def preview(self, make: Callable[[Job], Coroutine[Any, Any, bytes | None]]) -> bytes | None:
        """Return a rough picture of where it is going, as `make` gives it; None before its first step.

        Made once a step and one at a time, however many watch: who comes meanwhile is given the one under way.
        """
        if self.job is None or not self.has_begun:
            return None
        step = self.job.progress.step
        if self._preview is None or (self._preview[0] != step and self._preview[1].done()):
            self._preview = step, asyncio.create_task(make(self.job), name="retouch-preview")
        # A watcher that leaves takes it from none of the others.
        return await asyncio.shield(self._preview[1])

    def cancel(self, reason: RetouchError | None = None) -> None:
        """Give it up before its next step, and tell who waits for it why; without effect once it is done."""
        if reason is not None:
            self._ended_by = reason
        if self.job is not None:
            self.job.cancel()
        self.task.cancel()

    async def result(self) -> InpaintResult:
        """Wait for its end.

        Raises:
            Cancelled: somebody gave it up.
            RetouchError: what ended the work.
        """
        try:
            return await asyncio.shield(self.task)
        except asyncio.CancelledError:
            if self.task.cancelled():
                raise self._ended_by from None
            raise
