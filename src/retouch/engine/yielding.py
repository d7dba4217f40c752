"""OpenMP workers that sleep, and no longer spin, while other work wants the processors.

A worker that spins for one whose processor was taken keeps it from the very one that it waits for, and each of the
thousands of small operations of a fill costs a time slice: beside one busy process a fill took four times as long.
To sleep at once costs a third on a quiet machine instead. So the machine decides: the system counts how long
threads that could run have waited for a processor, and as long as ours do, workers sleep.

GNU's runtime knows of this only that with more threads in its teams than processors it should not spin (`do_spin`
in libgomp's config/linux/wait.h). An idle team of a thread of ours makes them more, and when it goes they are
fewer: neither changes who computes what, and so no bit of a result.
"""

import ctypes
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from retouch.engine.workers import gnu_runtime, release_workers

_LOOK_S = 0.1
"""From one look to the next."""
_LINGER_S = 1.0
"""For how long after the last call it goes on."""
_BUSY, _QUIET = 0.2, 0.05
"""Shares of the time that our threads, all together, waited for a processor: above the first workers sleep, and
below the second for `_CALM` looks they spin again. Two that compute beside one foreign process wait 0.3 and more,
alone 0.1 at most."""
_CALM = 10
_TASKS = Path("/proc/self/task")


class Waits:
    """Which share of the time the threads of this process waited for a processor since the last look."""

    def __init__(self, tasks: Path = _TASKS, clock: Callable[[], float] = time.monotonic) -> None:
        self._tasks, self._clock = tasks, clock
        self._seen: dict[str, int] = {}
        self._at = clock()

    def share(self) -> float:
        """Return the sum over all threads; 0 where the system does not count it."""
        now, waited = self._clock(), dict(self._waited_ns())
        ours = sum(waited_ns - self._seen.get(task, waited_ns) for task, waited_ns in waited.items())
        elapsed_s, self._seen, self._at = now - self._at, waited, now
        return ours / 1e9 / elapsed_s if elapsed_s > 0 else 0.0

    def _waited_ns(self) -> Iterator[tuple[str, int]]:
        try:
            tasks = list(self._tasks.iterdir())
        except OSError:
            return
        for task in tasks:
            try:
                # Nanoseconds on a processor, nanoseconds waiting for one, time slices.
                yield task.name, int((task / "schedstat").read_bytes().split()[1])
            except (OSError, IndexError, ValueError):
                continue  # it has ended meanwhile


class Decision:
    """Whether workers should sleep, by what was seen last."""

    def __init__(self) -> None:
        self.should_sleep = False
        self._calm = 0

    def see(self, share: float) -> None:
        """Take in one look."""
        self._calm = self._calm + 1 if share < _QUIET else 0
        if share > _BUSY:
            self.should_sleep = True
        elif self._calm >= _CALM:
            self.should_sleep = False


class Watch:
    """Looks while somebody computes, on a thread of its own that ends soon after, and holds the idle team."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._computing = 0
        self._ended = 0.0
        self._is_looking = False

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
        waits, decision, is_holding = Waits(), Decision(), False
        waits.share()
        while self._goes_on():
            time.sleep(_LOOK_S)
            decision.see(waits.share())
            if decision.should_sleep and not is_holding:
                hold_idle_team()
            elif is_holding and not decision.should_sleep:
                release_workers()
            is_holding = decision.should_sleep
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


@cache
def _watch(_process: int) -> Watch | None:
    """Return the watch of a process: a forked child has no thread of its parent's."""
    is_counted = (_TASKS / str(threading.get_native_id()) / "schedstat").exists()
    return Watch() if is_counted and gnu_runtime() is not None else None
