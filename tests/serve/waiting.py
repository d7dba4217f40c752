"""Waiting for what another thread does."""

import threading
import time
from collections.abc import Callable

MOST_S = 20.0


def wait_until(condition: Callable[[], bool]) -> None:
    """Return as soon as a condition holds; fail where it does not come to hold."""
    deadline = time.monotonic() + MOST_S
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)
