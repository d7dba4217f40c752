"""When rows of a batch may use the processor beside the engine: one at a time, and while no request wants it."""

import threading
import time
from collections.abc import Callable
from types import TracebackType

PATIENCE_S = 2.0
"""Requests without a gap leave a batch one piece of work so often, as the scheduler leaves it one call."""
CALM_S = 0.1
"""After a request was seen: a client that has its answer often sends the next one at once."""
_LOOK_S = 0.01


class Politeness:
    """Entered before a piece of work; usable from any thread."""

    def __init__(
        self,
        is_others_turn: Callable[[], bool],
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._is_others_turn = is_others_turn
        self._clock = clock
        self._pause = pause
        self._turn = threading.Lock()
        self._seen: float | None = None

    def __enter__(self) -> None:
        self._turn.acquire()
        until = self._clock() + PATIENCE_S
        while self._should_wait() and self._clock() < until:
            self._pause(_LOOK_S)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._turn.release()

    def _should_wait(self) -> bool:
        """Look; in one thread at a time."""
        now = self._clock()
        if self._is_others_turn():
            self._seen = now
        return self._seen is not None and now - self._seen < CALM_S
