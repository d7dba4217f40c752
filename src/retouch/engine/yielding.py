"""Threads that give way to other work: workers that sleep, and no longer spin, and calls that want fewer of them.

A worker that spins for one whose processor was taken keeps it from the very one that it waits for, and each of the
thousands of small operations of a fill costs a time slice: beside one busy process a fill took four times as long.
To sleep at once costs a third on a quiet machine instead. So the machine decides: the system counts how long
threads that could run have waited for a processor, and as long as ours do, workers sleep.

GNU's runtime knows of this only that with more threads in its teams than processors it should not spin (`do_spin`
in libgomp's config/linux/wait.h). An idle team of a thread of ours makes them more, and when it goes they are
fewer: neither changes who computes what, and so no bit of a result. Fewer threads may (`engine/team.py`).
"""

import ctypes
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from retouch.engine.load import Decision, Others, Waits
from retouch.engine.workers import gnu_runtime, release_workers

_LOOK_S = 0.1
"""From one look to the next."""
_LINGER_S = 1.0
"""For how long after the last call it goes on."""


class Watch:
    """Looks while somebody computes, on a thread of its own that ends soon after, and holds the idle team."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._computing = 0
        self._ended = 0.0
        self._is_looking = False
        # What was last seen stays: the next call mostly finds the machine as the one before has left it.
        self._decision = Decision(len(os.sched_getaffinity(0)))

    @property
    def halvings(self) -> int:
        """How often the number of threads should be halved."""
        return self._decision.halvings

    def begin(self) -> None:
        """Somebody computes."""
        with self._lock:
            self._computing += 1
            if not self._is_looking:
                self._is_looking = True
                threading.Thread(target=self._look, name="retouch-watch", daemon=True).start()

    def end(self) -> None:
        """Somebody has done, for now: the next call mostly follows at once."""
        with self._lock:
            self._computing -= 1
            self._ended = time.monotonic()

    def _look(self) -> None:
        waits, others, is_holding = Waits(), Others(), False
        while self._goes_on():
            should_hold = self.halvings > 0
            if should_hold and not is_holding:
                hold_idle_team()
            elif is_holding and not should_hold:
                release_workers()
            is_holding = should_hold
            time.sleep(_LOOK_S)
            waiting, used = waits.look(), others.look()
            if self._computing > 0:
                self._decision.see(waiting, used)
        if is_holding:
            release_workers()

    def _goes_on(self) -> bool:
        with self._lock:
            self._is_looking = self._computing > 0 or time.monotonic() - self._ended < _LINGER_S
            return self._is_looking


def hold_idle_team() -> None:
    """Give the calling thread an idle team of more threads than there are processors, until `release_workers`."""
    runtime = gnu_runtime()
    if runtime is None:
        return
    # Each of its threads runs this once: a C function that takes any argument and does nothing.
    nothing = ctypes.cast(ctypes.CDLL(None).abs, ctypes.c_void_p)
    runtime.GOMP_parallel(nothing, None, ctypes.c_uint(len(os.sched_getaffinity(0)) + 1), ctypes.c_uint(0))


@contextmanager
def yielding() -> Iterator[None]:
    """Let workers of this process sleep inside the block while other work wants the processors."""
    watch = _watch(os.getpid())
    if watch is not None:
        watch.begin()
    try:
        yield
    finally:
        if watch is not None:
            watch.end()


def threads_now(most: int) -> int:
    """Return on how many of so many threads to compute beside the other work that there is."""
    watch = _watch(os.getpid())
    return most if watch is None else max(1, most >> watch.halvings)


@cache
def _watch(_process: int) -> Watch | None:
    """Return the watch of a process: a forked child has no thread of its parent's."""
    is_counted = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat").exists()
    return Watch() if is_counted and gnu_runtime() is not None else None
