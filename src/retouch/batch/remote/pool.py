"""`Pool`: a painter whose rows go to workers elsewhere, which may be lost at any moment.

It knows nothing of where they are. A worker that is lost takes no row with it: its rows are painted by others, and
another worker is asked for. A row that ends its worker again and again is found, and fails alone.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from retouch.batch.entry import Painted
from retouch.batch.ledger import differences
from retouch.batch.painter import failed
from retouch.batch.remote.worker import Ready, Worker, WorkerLost
from retouch.batch.room import Room
from retouch.batch.rows import Columns, Row
from retouch.errors import BadInput, Cancelled, GenerationFailed

log = logging.getLogger(__name__)

MAX_SENT_BYTES = 256 * 2**20
"""Rows that are with workers, with the pictures that they carry."""
_TOLD_EVERY_S = 60.0


class _Seat:
    """A worker that is ready, and how many rows it has. All of it is changed under the pool's lock."""

    def __init__(self, worker: Worker, width: int) -> None:
        self.worker = worker
        self.width = width
        self.rows = 0
        self.is_kept = False
        self.is_lost = False


class Pool:
    """Spreads rows over workers; any number of threads may paint."""

    def __init__(
        self,
        hire: Callable[[], Worker],
        count: int,
        *,
        prepare: Callable[[Row], Row] = lambda row: row,
        columns: Columns = Columns(),  # noqa: B008 - it is frozen
        attempts: int = 3,
        pause_s: float = 1.0,
    ) -> None:
        """Ask for workers, and return at once.

        Args:
            hire: returns a worker that was not started.
            count: how many there shall be at any time.
            prepare: makes a row ready to be sent.
            columns: of the rows, for the record of one that ended its workers.
            attempts: how many workers a row may end, and how many may end one after another before any is ready.
            pause_s: between two workers that ended before they were ready.
        """
        self._hire = hire
        self._prepare = prepare
        self._columns = columns
        self._attempts = attempts
        self._pause_s = pause_s
        self._room = Room(MAX_SENT_BYTES)
        self._changed = threading.Condition()
        self._seats: list[_Seat] = []
        self._workers: set[Worker] = set()
        self._ready: Ready | None = None
        self._is_over = False
        self._told_at = 0.0
        self._fault: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._occupy, name=f"retouch-seat-{number}", daemon=True)
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def ready(self) -> Ready:
        """Wait for the first worker, and return what it told.

        Raises:
            RetouchError: there can be none.
        """
        with self._changed:
            self._wait(lambda: self._ready is not None)
            assert self._ready is not None
            return self._ready

    def paint(self, row: Row) -> Painted:
        sent = self._prepare(row)
        self._room.enter(sent.size_bytes)
        try:
            return self._paint(sent)
        finally:
            self._room.leave(sent.size_bytes)

    def cancel(self) -> None:
        with self._changed:
            self._is_over = True
            workers = tuple(self._workers)
            self._changed.notify_all()
        for worker in workers:
            worker.end()

    def close(self) -> None:
        """End all workers."""
        self.cancel()
        for thread in self._threads:
            thread.join()

    def _paint(self, row: Row) -> Painted:
        ended = 0
        while ended < self._attempts:
            # Its neighbours must not take the blame for what it does, nor it for them: the last try is alone.
            is_alone = ended == self._attempts - 1
            seat = self._take(is_alone=is_alone)
            try:
                return seat.worker.paint(row)
            except WorkerLost as lost:
                self._lose(seat)
                if self._is_over:
                    raise Cancelled("the run was stopped") from lost
                ended += lost.takes_blame
                log.warning("row %d lost the process that painted it (%s), and is tried again", row.number, lost)
            finally:
                self._leave(seat, is_alone=is_alone)
        error = GenerationFailed(
            f"the process that painted it ended {ended} times, the last time with no other row",
            hint="is there memory enough for a picture of this size?",
        )
        return failed(row, self._columns.read(row), error)

    def _take(self, *, is_alone: bool) -> _Seat:
        """Wait for a place at the worker that has fewest rows; or for a worker with no other row.

        Raises:
            Cancelled: the run is over.
        """
        with self._changed:
            while True:
                self._wait(self._free)
                seat = min(self._free(), key=lambda one: one.rows)
                if not is_alone:
                    break
                seat.is_kept = True
                self._wait(partial(_is_empty, seat))
                if not seat.is_lost:
                    break
            seat.rows += 1
            return seat

    def _free(self) -> list[_Seat]:
        return [one for one in self._seats if not one.is_kept and one.rows < one.width]

    def _leave(self, seat: _Seat, *, is_alone: bool) -> None:
        with self._changed:
            seat.rows -= 1
            seat.is_kept &= not is_alone
            self._changed.notify_all()

    def _lose(self, seat: _Seat) -> None:
        """Give a worker up."""
        with self._changed:
            seat.is_lost = True
            if seat in self._seats:
                self._seats.remove(seat)
            self._changed.notify_all()
        seat.worker.end()

    def _wait(self, until: Callable[[], object]) -> None:
        """Wait, with the lock.

        Raises:
            Cancelled: the run is over.
            RetouchError: there can be no worker.
        """
        while not self._changed.wait_for(
            lambda: self._is_over or self._fault is not None or until(), timeout=_TOLD_EVERY_S
        ):
            self._tell_if_deserted()
        if self._fault is not None:
            raise self._fault
        if self._is_over:
            raise Cancelled("the run was stopped")

    def _tell_if_deserted(self) -> None:
        now = time.monotonic()
        if not self._seats and now - self._told_at >= _TOLD_EVERY_S:
            self._told_at = now
            log.warning("there is nobody to paint: waiting for a place in the cluster")

    # The threads of the seats, from here on: each has a worker, or waits for one.

    def _occupy(self) -> None:
        ended = 0
        while not self._is_over and self._fault is None:
            worker = self._hire()
            try:
                seat = self._started(worker)
                ended = 0
                self._until_lost(seat)
            except WorkerLost as lost:
                ended += lost.takes_blame
                if ended == self._attempts:
                    self._fail(GenerationFailed(f"no process came as far as its model: {lost}", hint="memory?"))
                self._rest()
            except BaseException as error:  # noqa: BLE001 - told by the threads that wait for a worker
                self._fail(error)
            finally:
                worker.end()
                with self._changed:
                    self._workers.discard(worker)

    def _started(self, worker: Worker) -> _Seat:
        with self._changed:
            if self._is_over:
                raise WorkerLost("the run is over", takes_blame=False)
            self._workers.add(worker)
        ready = worker.start()
        with self._changed:
            self._ready = self._ready or ready
            if ready.facts != self._ready.facts:
                raise _unlike(self._ready.facts, ready.facts)
            seat = _Seat(worker, ready.width)
            self._seats.append(seat)
            self._changed.notify_all()
            return seat

    def _until_lost(self, seat: _Seat) -> None:
        with self._changed:
            self._changed.wait_for(lambda: seat.is_lost or self._is_over)

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            self._fault = self._fault or error
            self._changed.notify_all()

    def _rest(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_over, timeout=self._pause_s)


def _is_empty(seat: _Seat) -> bool:
    return seat.rows == 0


def _unlike(first: Mapping[str, Any], other: Mapping[str, Any]) -> BadInput:
    return BadInput(
        f"the machines of the cluster would not paint the same pictures: {'; '.join(differences(first, other))}",
        hint="the same version, checkpoint, precision and kind of device on all of them",
    )
