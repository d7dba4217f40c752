"""A batch's rows in the queue of an engine, which others may use, too."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from retouch.errors import Cancelled, QueueFull
from retouch.request import InpaintRequest, Limits

if TYPE_CHECKING:
    from retouch.job import Job

_WAIT_S = 1.0
"""Until a full queue is tried again though no row of ours has left it."""


class Inpainting(Protocol):
    """What a painter needs of an `Inpainter`."""

    @property
    def limits(self) -> Limits: ...
    def submit(self, request: InpaintRequest) -> "Job": ...


class OwnQueue:
    """Thread-safe.

    Attributes:
        is_cancelled: set by `cancel`.
    """

    def __init__(self, inpainter: Inpainting) -> None:
        self.is_cancelled = threading.Event()
        self._inpainter = inpainter
        self._jobs: set[Job] = set()
        self._left = 0  # jobs that were in it and are no more
        self._changed = threading.Condition()

    def cancel(self) -> None:
        """Give up what is in it and what waits before it."""
        self.is_cancelled.set()
        with self._changed:
            for job in self._jobs:
                job.cancel()
            self._changed.notify_all()

    def check(self) -> None:
        """See that it was not cancelled.

        Raises:
            Cancelled: it was.
        """
        if self.is_cancelled.is_set():
            raise Cancelled("the run was stopped")

    def enter(self, request: Callable[[], InpaintRequest], hands: AbstractContextManager[object]) -> "Job":
        """Submit a request; where the queue is full, once a row of ours has left it.

        Args:
            request: makes it, at each attempt: who waits holds nothing that was decoded.
            hands: entered for each attempt.
        Raises:
            QueueFull: nobody will make room: this row alone is too much.
            Cancelled: it was cancelled meanwhile.
        """
        while True:
            left = self._left
            with hands:
                if (job := self._entered(request(), left)) is not None:
                    return job
            self._wait_for_room(left)

    def _entered(self, request: InpaintRequest, left: int) -> "Job | None":
        """Submit it; None where the queue is full, and rows of ours are in it or were since `left` had left it."""
        try:
            job = self._inpainter.submit(request)
        except QueueFull:
            with self._changed:
                if not self._jobs and self._left == left:
                    raise
            return None
        with self._changed:
            self._jobs.add(job)
        if self.is_cancelled.is_set():
            job.cancel()
        return job

    def _wait_for_room(self, left: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._left != left or self.is_cancelled.is_set(), _WAIT_S)
        self.check()

    def wait(self, job: "Job") -> None:
        """Wait until the engine has nothing more of a job: then it has left."""
        try:
            job.wait()
        finally:
            with self._changed:
                self._jobs.remove(job)
                self._left += 1
                self._changed.notify()
