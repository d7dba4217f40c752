"""A circuit breaker: after failures in a row a service is left alone for a while, and its callers hear no."""

import threading
from collections.abc import Callable
from typing import Literal

State = Literal["closed", "open", "half_open"]

_LONGEST_S = 60.0
"""A service may ask for more rest than this; then it is asked again all the same."""
_WHILE_PROBED_S = 1.0


class CircuitOpen(Exception):
    """The service is not asked now; `retry_after_s` says when it may be."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("the service is left alone after failures in a row")
        self.retry_after_s = retry_after_s


class CircuitBreaker:
    """Counts failures in a row; usable from any thread.

    Closed, it lets every call through. After `failures` of them in a row it is open for `open_s` and lets none
    through: whoever asks takes that for a check that failed. Then it is half open, and one call at a time may
    probe: a success closes it, a failure opens it again.
    """

    def __init__(self, *, clock: Callable[[], float], failures: int = 5, open_s: float = 15.0) -> None:
        self._clock = clock
        self._most = failures
        self._open_s = open_s
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._probe_at: float | None = None  # None while it is closed
        self._is_probing = False

    @property
    def state(self) -> State:
        """What a call would meet now."""
        with self._lock:
            if self._probe_at is None:
                return "closed"
            return "open" if self._clock() < self._probe_at else "half_open"

    def enter(self) -> None:
        """Ask to make a call; `succeeded` or `failed` must follow.

        Raises:
            CircuitOpen: the service is left alone, or another call is probing it.
        """
        with self._lock:
            if self._probe_at is None:
                return
            left_s = self._probe_at - self._clock()
            if left_s > 0 or self._is_probing:
                raise CircuitOpen(max(left_s, _WHILE_PROBED_S))
            self._is_probing = True

    def succeeded(self) -> None:
        """The service answered."""
        with self._lock:
            self._in_a_row, self._is_probing, self._probe_at = 0, False, None

    def failed(self, rest_s: float = 0.0) -> None:
        """The service gave no answer; `rest_s` is how long it asks to be left alone."""
        with self._lock:
            self._in_a_row += 1
            self._is_probing = False
            if self._in_a_row >= self._most:
                self._probe_at = self._clock() + max(self._open_s, min(rest_s, _LONGEST_S))
