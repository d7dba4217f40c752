"""The run: rows go to a painter, what they became to the disk and then to the ledger, in bounded memory.

One thread reads, several paint and write, one keeps: it makes a group of pictures durable, then the rows that they
belong to in one transaction, and only then counts them.
"""

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from retouch.batch.entry import Entry
from retouch.batch.ledger import Finished, Ledger
from retouch.batch.painter import Painter
from retouch.batch.room import Room
from retouch.batch.rows import Row
from retouch.batch.storage import storage_failed
from retouch.batch.store import Store, Written
from retouch.errors import Cancelled, EngineClosed, StorageFailed, TooManyFailures

MAX_READ_BYTES = 256 * 2**20
"""Cells of rows that were read and are not painted yet."""
_MOST_AT_ONCE = 256
_GATHER_S = 0.5


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes:
        counts: rows by how they ended, those of earlier runs included.
        made: rows that this run finished.
        seconds: since it began.
        share: of the input, 0..1, nearly.
        share_before: of the input, that this run found done.
    """

    counts: Counter[str]
    made: int
    seconds: float
    share: float
    share_before: float = 0.0

    @property
    def finished(self) -> int:
        return sum(self.counts.values())

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.made / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds to the end of the input, by how long its parts took so far; None before anything is known."""
        passed = self.share - self.share_before
        return self.seconds * (1.0 - self.share) / passed if passed > 0 else None


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many rows may fail: a number, or a share of those that were finished; None is any."""

    number: int | None = None
    share: float | None = None
    least_rows: int = 20

    def check(self, counts: Counter[str]) -> None:
        """Compare with how rows ended.

        Raises:
            TooManyFailures: too many failed.
        """
        failed, total = counts["failed"], sum(counts.values())
        is_over = self.number is not None and failed > self.number
        if self.share is not None and total >= self.least_rows:
            is_over |= failed > self.share * total
        if is_over:
            raise TooManyFailures(
                f"{failed} of {total} rows failed, more than allowed",
                hint="results.jsonl says why; mend it, and run again with --retry-failed",
            )


@dataclass(slots=True)
class Runner:
    """Carries one run to its end.

    Attributes:
        width: rows that are painted at once.
        allowance: how many may fail.
        on_progress: told after every group that is kept, on the keeping thread.
    """

    painter: Painter
    store: Store
    ledger: Ledger
    width: int
    allowance: Allowance = field(default_factory=Allowance)
    on_progress: Callable[[Progress], None] = lambda _: None
    clock: Callable[[], float] = time.monotonic

    def run(self, rows: Iterable[Row]) -> Counter[str]:
        """Paint every row that the ledger does not know; return how all rows of the output ended.

        Raises:
            StorageFailed: the disk is full or fails; what was counted is kept.
            TooManyFailures: more rows failed than may.
            EngineClosed: the model is gone.
        """
        return _Run(self, self.ledger.finished()).to_its_end(rows)


@dataclass(frozen=True, slots=True)
class _Made:
    """A row that was painted: what the ledger will keep of it, and its pictures in temporary files."""

    entry: Entry
    written: tuple[Written, ...]
    share: float


class _Run:
    """What one run holds: its threads, and the first fault that ends it."""

    def __init__(self, runner: Runner, finished: Finished) -> None:
        self._of = runner
        self._finished = finished
        self._painted: queue.Queue[_Made | None] = queue.Queue(_MOST_AT_ONCE)
        self._slots = threading.BoundedSemaphore(2 * runner.width)
        self._room = Room(MAX_READ_BYTES)
        self._fault: BaseException | None = None
        self._is_over = threading.Event()
        self._started = runner.clock()
        self._counts = runner.ledger.counts()
        self._made = 0
        self._share_before = 0.0

    def to_its_end(self, rows: Iterable[Row]) -> Counter[str]:
        keeper = threading.Thread(target=self._keep, name="retouch-batch-keeper", daemon=True)
        keeper.start()
        try:
            with ThreadPoolExecutor(self._of.width, thread_name_prefix="retouch-batch") as pool:
                try:
                    self._feed(rows, pool)
                except BaseException:
                    self._stop(None)
                    raise
        finally:
            self._painted.put(None)
            keeper.join()
        if self._fault is not None:
            raise self._fault
        return self._counts

    def _feed(self, rows: Iterable[Row], pool: ThreadPoolExecutor) -> None:
        for row in rows:
            if row.number in self._finished:
                if not self._made:
                    self._share_before = row.share
                continue
            self._slots.acquire()
            self._room.enter(row.size_bytes)
            if self._is_over.is_set():
                return
            pool.submit(self._paint, row)

    def _paint(self, row: Row) -> None:
        """Paint and write one row; on a thread of the pool."""
        try:
            if self._is_over.is_set():
                return
            painted = self._of.painter.paint(row)
            written = self._of.store.write(painted.row, painted.pictures)
            files = tuple(file.stored for file in written)
            self._painted.put(_Made(Entry(painted.row, painted.status, painted.record, files), written, row.share))
        except BaseException as error:  # noqa: BLE001 - whatever it is ends the run, on the thread that waits for it
            self._stop(error)
        finally:
            self._room.leave(row.size_bytes)
            self._slots.release()

    def _stop(self, error: BaseException | None) -> None:
        """Admit nothing more, give up what is under way; the first fault is the one that is told."""
        if self._fault is None and error is not None:
            self._fault = _as_ours(error)
        if not self._is_over.is_set():
            self._is_over.set()
            self._of.painter.cancel()

    # The keeper's thread, from here on.

    def _keep(self) -> None:
        is_open = True
        while is_open:
            group, is_open = self._gather()
            try:
                if isinstance(self._fault, StorageFailed):
                    self._of.store.drop(_files(group))
                elif group:
                    self._keep_group(group)
            except BaseException as error:  # noqa: BLE001 - as in `_paint`
                self._of.store.drop(_files(group))
                self._stop(error)

    def _gather(self) -> tuple[list[_Made], bool]:
        """Wait for rows, and a little longer for more; return them, and whether there will be others."""
        group: list[_Made] = []
        until: float | None = None
        while len(group) < _MOST_AT_ONCE:
            try:
                wait_s = None if until is None else max(0.0, until - self._of.clock())
                one = self._painted.get(timeout=wait_s)
            except queue.Empty:
                break
            if one is None:
                return group, False
            group.append(one)
            until = until or self._of.clock() + _GATHER_S
        return group, True

    def _keep_group(self, group: list[_Made]) -> None:
        entries = [one.entry for one in group]
        self._of.store.settle(_files(group))
        self._of.ledger.add(entries)
        self._counts.update(entry.status for entry in entries)
        self._made += len(entries)
        share = max(one.share for one in group)
        seconds = self._of.clock() - self._started
        self._of.on_progress(Progress(Counter(self._counts), self._made, seconds, share, self._share_before))
        self._of.allowance.check(self._counts)


def _files(group: Iterable[_Made]) -> list[Written]:
    return [file for one in group for file in one.written]


def _as_ours(error: BaseException) -> BaseException:
    """Say of a fault of the disk what to do about it."""
    if isinstance(error, OSError):
        return storage_failed(error)
    if isinstance(error, Cancelled):
        return EngineClosed("the run was stopped")
    return error
