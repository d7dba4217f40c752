"""One run of a batch on a server, on a thread of its own: from its folder to its results."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from retouch.batch.entry import Painted
from retouch.batch.job import Batch, Engaged, run_batch
from retouch.batch.painter import InpaintPainter, Painter
from retouch.batch.rows import Row
from retouch.batch.runner import Allowance, Progress
from retouch.batch.storage import telling_storage
from retouch.errors import BatchTooLarge, Cancelled, Conflict, EngineClosed, GenerationFailed, OutputDiffers
from retouch.jobs.job import Job
from retouch.serve.batches.folders import BatchFolder
from retouch.serve.batches.guest import Guest
from retouch.serve.batches.inputs import Input, open_below, open_sent
from retouch.serve.batches.order import recipe_of
from retouch.serve.batches.politeness import Politeness

if TYPE_CHECKING:
    from retouch.serve.service import Service

_MOST_CRASHES = 3
_LEAST_WIDTH = 4
_WEIGHED_EVERY_BYTES = 2**20

Weigh = Callable[[int], object]
"""Notes how large the files of the batch have become."""


class BatchRun:
    """A run. `run` is for one thread; `stop` and `progress` for any."""

    def __init__(self, job: Job, folder: BatchFolder, service: "Service", *, weigh: Weigh) -> None:
        self.progress: Progress | None = None
        self._job, self._folder, self._service, self._weigh = job, folder, service, weigh
        self._lock = threading.Lock()
        self._painter: _Weighed | None = None
        self._is_stopped = False
        self._ended: Counter[str] = Counter()
        self._weighed = 0

    def run(self) -> None:
        """Paint the rows that are not painted yet.

        Raises:
            EngineClosed, Cancelled: it was stopped; what is done is kept.
            StorageFailed: the disk is full or fails; what is done is kept.
            RetouchError: it cannot be brought to its end.
        """
        with telling_storage():
            crashes = self._folder.begin()
        if crashes >= _MOST_CRASHES:
            raise GenerationFailed(
                f"the server ended {crashes} times while no row was finished", hint="look for the row that did it"
            )
        self._ended = self._folder.counts().ended
        found = self._opened()
        recipe = recipe_of(self._job.request, self._folder.mask_image)
        allowance = Allowance(number=self._job.request["max_failures"])
        batch = Batch(found.source, self._folder.output, recipe, found.roots, allowance=allowance)
        guest = Guest(self._service)
        try:
            run_batch(batch, lambda: self._engaged(batch, guest), on_progress=self._note)
        except (EngineClosed, OutputDiffers) as error:
            if guest.has_changed or isinstance(error, OutputDiffers):
                raise OutputDiffers(
                    "the batch began with another model, other settings or another input",
                    hint="what was done is kept; send it again for the rest",
                ) from error
            raise
        finally:
            self._folder.end()

    def stop(self) -> None:
        """Give up what is under way."""
        with self._lock:
            self._is_stopped = True
            if self._painter is not None:
                self._painter.cancel()

    def _opened(self) -> Input:
        told, bounds = self._job.request["input"], self._service.batches.bounds
        if "path" in told:
            return open_below(told["path"], bounds)
        return open_sent(self._folder.path / told["sent"], bounds)

    @contextmanager
    def _engaged(self, batch: Batch, guest: Guest) -> Iterator[Engaged]:
        painter = _Weighed(
            InpaintPainter(guest, batch.recipe, batch.roots, hands=Politeness(self._is_others_turn)),
            held=self._folder.size_bytes(),
            most=self._service.settings.batch_bytes,
        )
        with self._lock:
            self._painter = painter
            if self._is_stopped:
                raise Cancelled("the run was stopped")
        # Guided rows come in pairs. Calls beyond the knee gain nothing, and a request that comes waits for the one
        # that runs.
        yield Engaged(painter, max(_LEAST_WIDTH, self._service.model.row_knee // 2), guest.facts)

    def _is_others_turn(self) -> bool:
        return self._service.admission.rows > 0

    def _note(self, progress: Progress) -> None:
        """Tell how far it is; on the keeper's thread."""
        self._service.metrics.kept(progress.counts - self._ended)
        # Rows end in any order: the furthest says how much of the input was passed.
        share = max(progress.share, 0.0 if self.progress is None else self.progress.share)
        self._ended, self.progress = progress.counts, replace(progress, share=share)
        if self._painter is not None and self._painter.held - self._weighed > _WEIGHED_EVERY_BYTES:
            self._weighed = self._painter.held
            with suppress(Conflict):  # it was cancelled meanwhile
                self._weigh(self._weighed)


class _Weighed:
    """A painter whose pictures may have so many bytes together; for any thread."""

    def __init__(self, painter: Painter, *, held: int, most: int) -> None:
        self._painter = painter
        self._most = most
        self._lock = threading.Lock()
        self.held = held

    def paint(self, row: Row) -> Painted:
        painted = self._painter.paint(row)
        with self._lock:
            self.held += sum(map(len, painted.pictures))
            is_over = self.held > self._most
        if is_over:
            raise BatchTooLarge(
                f"the files of the batch are over {self._most} bytes", hint="split it, or raise batch_bytes"
            )
        return painted

    def cancel(self) -> None:
        self._painter.cancel()
