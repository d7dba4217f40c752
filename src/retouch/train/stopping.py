"""When a run stops before its end: after so many steps, or when a signal asks for it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """Asked after each step: True after `max_steps` of them, or once a signal came. It hears signals as a context.

    The first one lets the step end, so that its state is saved; the second ends the run where it stands, by
    KeyboardInterrupt. Off the main thread, where Python hears no signals, steps alone count.
    """

    def __init__(self, max_steps: int | None = None) -> None:
        self._max_steps = max_steps
        self._steps = 0
        self._is_asked = False
        self._is_at_once = False
        self._before: dict[int, Any] = {}

    def __call__(self) -> bool:
        self._steps += 1
        return self._is_asked or (self._max_steps is not None and self._steps >= self._max_steps)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._ask) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler or signal.SIG_DFL)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within the block the first signal, too, ends the run where it stands: nothing is lost there."""
        if self._is_asked:
            raise KeyboardInterrupt
        self._is_at_once = True
        try:
            yield
        finally:
            self._is_at_once = False

    def _ask(self, _signum: int, _frame: FrameType | None) -> None:
        if self._is_asked or self._is_at_once:
            raise KeyboardInterrupt
        self._is_asked = True
