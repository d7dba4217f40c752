"""Admission: who may still come in, counted in pictures and bytes, at all and for each caller."""

import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from retouch.errors import Draining, QueueFull, RateLimited

_LEAST_ROWS = 4
"""However slow a model is, so many may wait."""
_MINUTE_S = 60.0
_SMOOTHING = 0.2
_FIRST_GUESS_S = 1.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """What may be under way at a time.

    Attributes:
        rows: pictures of all who are not answered.
        size_bytes: memory of their bodies and pictures.
        caller_rows: pictures of one caller; 0 is no bound.
        caller_per_minute: requests of one caller in a minute; 0 is no bound.
    """

    rows: int
    size_bytes: int
    caller_rows: int = 0
    caller_per_minute: int = 0


class Admission:
    """The one book of what is under way; usable from any thread.

    A request is refused by its headers where there is no room (`check`). It takes a place when its body has come,
    so that slow bodies keep nobody out, and the rest when it is known how much that is.
    """

    def __init__(self, bounds: Bounds, *, clock: Callable[[], float]) -> None:
        self._bounds = bounds
        self._clock = clock
        self._lock = threading.Lock()
        self._callers: dict[str, _Account] = {}
        self._rate = _Rate()
        self.rows = 0
        self.size_bytes = 0
        self.is_draining = False

    def check(self, caller: str | None, *, kept: int = 0) -> None:
        """Find out whether there is room for one picture, and take nothing.

        Args:
            caller: as for `enter`.
            kept: places that are kept for others.
        Raises:
            Draining, QueueFull, RateLimited: as for `enter`.
        """
        with self._lock:
            self._check(caller, rows=1, size_bytes=0, kept=kept)

    def enter(self, caller: str | None, *, rows: int = 1, size_bytes: int = 0) -> "Lease":
        """Take places for pictures.

        Args:
            caller: who asks; None where nobody is told from anybody else.
            rows: pictures; of a request one, until it is known how many it wants.
            size_bytes: of its body.
        Raises:
            Draining: the server is about to end.
            QueueFull: there is no room; says when to come again.
            RateLimited: this caller has too much under way, or came too often.
        """
        with self._lock:
            lease = Lease(self, caller)
            try:
                if caller is not None:
                    self._account(caller).count(self._clock(), self._bounds.caller_per_minute)
                self._take(lease, rows=rows, size_bytes=size_bytes)
            finally:
                self._forget_if_idle(caller)
            return lease

    @property
    def most_rows(self) -> int:
        """How many pictures may be under way: a queue longer than two minutes only makes late answers."""
        if self._rate.seconds_a_row is None:
            return self._bounds.rows
        in_two_minutes = int(2 * _MINUTE_S / self._rate.seconds_a_row)
        return min(self._bounds.rows, max(_LEAST_ROWS, in_two_minutes))

    def made(self, rows: int) -> None:
        """Count pictures that were made: what comes of it is how long the next ones will take."""
        with self._lock:
            self._rate.count(rows, self._clock())

    def drain(self) -> None:
        """Let nobody in from now on."""
        with self._lock:
            self.is_draining = True

    def _take(self, lease: "Lease", *, rows: int, size_bytes: int) -> None:
        self._check(lease.caller, rows=rows, size_bytes=size_bytes)
        if lease.caller is not None:
            self._account(lease.caller).rows += rows
        if not self.rows:
            self._rate.begin(self._clock())
        self.rows += rows
        self.size_bytes += size_bytes
        lease.rows += rows
        lease.size_bytes += size_bytes

    def _check(self, caller: str | None, *, rows: int, size_bytes: int, kept: int = 0) -> None:
        bounds = self._bounds
        if self.is_draining and rows:
            raise Draining("the server is about to end", retry_after_s=self._retry_after_s(1))
        # The bound on rows moves: who is in, and asks for memory alone, is not put out by it.
        is_crowded = rows > 0 and self.rows + kept + rows > self.most_rows
        if is_crowded or self.size_bytes + size_bytes > bounds.size_bytes:
            raise QueueFull("too much waits already", retry_after_s=self._retry_after_s(rows))
        under_way = self._callers[caller].rows if caller in self._callers else 0
        if caller is not None and bounds.caller_rows and under_way + rows > bounds.caller_rows:
            raise RateLimited(
                f"this key has {under_way} pictures under way, at most {bounds.caller_rows} are allowed",
                retry_after_s=self._retry_after_s(rows),
            )

    def _give_back(self, lease: "Lease") -> None:
        self.rows -= lease.rows
        self.size_bytes -= lease.size_bytes
        if lease.caller is not None:
            self._account(lease.caller).rows -= lease.rows
            self._forget_if_idle(lease.caller)
        lease.rows = lease.size_bytes = 0

    def _forget_if_idle(self, caller: str | None) -> None:
        if caller is not None and self._account(caller).is_idle(self._clock()):
            del self._callers[caller]

    def _account(self, caller: str) -> "_Account":
        return self._callers.setdefault(caller, _Account())

    def _retry_after_s(self, rows: int) -> float:
        """How long the room that is asked for takes to come free, as far as is known."""
        seconds_a_row = self._rate.seconds_a_row or _FIRST_GUESS_S
        return float(max(1, math.ceil(min(rows, self.rows or 1) * seconds_a_row)))


@dataclass(slots=True, eq=False)
class Lease:
    """What one request holds of the server; given back once, whatever happens."""

    _admission: Admission
    caller: str | None
    rows: int = 0
    size_bytes: int = 0

    def take(self, *, rows: int = 0, size_bytes: int = 0) -> None:
        """Take more: what a request is, is known only when its body has been read.

        Raises:
            QueueFull, RateLimited: as for `Admission.enter`; what is held stays held.
        """
        with self._admission._lock:
            self._admission._take(self, rows=rows, size_bytes=size_bytes)

    def hand_over(self) -> "Lease":
        """Return another lease that holds all of this one's, for work that outlives its request."""
        with self._admission._lock:
            other = Lease(self._admission, self.caller, self.rows, self.size_bytes)
            self.rows = self.size_bytes = 0
        return other

    def release(self) -> None:
        """Give everything back; a second time is without effect."""
        with self._admission._lock:
            self._admission._give_back(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.release()


@dataclass(slots=True)
class _Account:
    """One caller's rows, and when it came in the last minute."""

    rows: int = 0
    came: deque[float] = field(default_factory=deque)

    def count(self, now: float, most: int) -> None:
        self._forget(now)
        if most and len(self.came) >= most:
            wait_s = self.came[0] + _MINUTE_S - now
            raise RateLimited(
                f"this key came {most} times within a minute", retry_after_s=float(max(1, math.ceil(wait_s)))
            )
        if most:
            self.came.append(now)

    def is_idle(self, now: float) -> bool:
        self._forget(now)
        return not self.rows and not self.came

    def _forget(self, now: float) -> None:
        while self.came and now - self.came[0] >= _MINUTE_S:
            self.came.popleft()


@dataclass(slots=True)
class _Rate:
    """How long a picture takes while there is work: a moving mean that idle times do not touch."""

    seconds_a_row: float | None = None
    _since: float = 0.0

    def begin(self, now: float) -> None:
        self._since = now

    def count(self, rows: int, now: float) -> None:
        seconds = max(now - self._since, 1e-3) / rows
        self._since = now
        known = self.seconds_a_row
        self.seconds_a_row = seconds if known is None else known + _SMOOTHING * (seconds - known)
