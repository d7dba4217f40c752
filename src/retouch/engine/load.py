"""How much other work wants the processors, as the system counts it, and what follows from it."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_BUSY, _QUIET = 0.2, 0.05
"""Of our threads, how many on average waited for a processor: above the first there is other work, and below the
second there may be none. Two that compute beside one foreign process wait 0.3 and more, alone 0.1 at most."""
_ALONE = 0.25
"""Processors that others may use on a quiet machine."""
_CALM, _PROBE = 10, 100
"""Looks until threads come back: where nobody else uses the processors, and where nobody is waited for, as with
others that give way at once."""
_SETTLE = 5
"""Looks until threads that are still too many are halved again."""


_STAT_LINE = 256
"""Bytes of a processor's line, at most."""


def _read(path: Path | str, *, most: int) -> bytes:
    """Return the beginning of a file, by the cheapest way: a look interrupts what is computed."""
    file = os.open(path, os.O_RDONLY)
    try:
        return os.read(file, most)
    finally:
        os.close(file)


class Waits:
    """How many threads of this process, on average, waited for a processor since the last look."""

    def __init__(self, tasks: Path = Path("/proc/self/task"), clock: Callable[[], float] = time.monotonic) -> None:
        self._tasks, self._clock = tasks, clock
        self._at, self._seen = clock(), dict(self._waited_ns())

    def look(self) -> float:
        """Return the mean over the time since the last look; 0 where the system does not count it."""
        now, waited = self._clock(), dict(self._waited_ns())
        ours = sum(waited_ns - self._seen.get(task, waited_ns) for task, waited_ns in waited.items())
        elapsed_s, self._at, self._seen = now - self._at, now, waited
        return ours / 1e9 / elapsed_s if elapsed_s > 0 else 0.0

    def _waited_ns(self) -> Iterator[tuple[str, int]]:
        try:
            tasks = os.listdir(self._tasks)  # noqa: PTH208 - cheap, as above
        except OSError:
            return
        for task in tasks:
            try:
                # Nanoseconds on a processor, nanoseconds waiting for one, time slices.
                yield task, int(_read(f"{self._tasks}/{task}/schedstat", most=100).split()[1])
            except (OSError, IndexError, ValueError):
                continue  # it has ended meanwhile


class Others:
    """How many of the processors that this process may use, on average, others used since the last look."""

    def __init__(
        self,
        stat: Path = Path("/proc/stat"),
        clock: Callable[[], float] = time.monotonic,
        used_s: Callable[[], float] = time.process_time,
    ) -> None:
        self._stat, self._clock, self._used_s = stat, clock, used_s
        self._at, self._idle, self._used = clock(), dict(self._idle_s()), used_s()

    def look(self) -> float:
        """Return the mean over the time since the last look; 0 where the system does not count it."""
        now, idle, used = self._clock(), dict(self._idle_s()), self._used_s()
        lain_s = sum(idle_s - self._idle.get(processor, idle_s) for processor, idle_s in idle.items())
        elapsed_s, ours_s = now - self._at, used - self._used
        self._at, self._idle, self._used = now, idle, used
        return max(0.0, len(idle) - (lain_s + ours_s) / elapsed_s) if elapsed_s > 0 else 0.0

    def _idle_s(self) -> Iterator[tuple[bytes, float]]:
        numbers, ticks = os.sched_getaffinity(0), os.sysconf("SC_CLK_TCK")
        own = {b"cpu%d" % number for number in numbers}
        try:
            # The lines of processors come first; those of interrupts, after them, are long.
            lines = _read(self._stat, most=_STAT_LINE * (max(numbers) + 2)).splitlines()
        except OSError:
            return
        for name, *counted in (line.split() for line in lines if line):
            if name in own and len(counted) > 4:
                yield name, (int(counted[3]) + int(counted[4])) / ticks  # idle, and idle but for a disk


class Decision:
    """How often the number of threads should be halved, by what was seen last.

    Attributes:
        halvings: 0 on a quiet machine, and where our own threads wait for each other only, as a server's do under
            load: those lose by it (a server of 16 clients a sixth of its pictures a second).
    """

    def __init__(self, processors: int) -> None:
        self.halvings = 0
        self._most = max(1, processors.bit_length() - 1)
        self._since = self._calm = self._alone = 0

    def see(self, waiting: float, others: float) -> None:
        """Take in one look: how many threads of ours waited, and how many processors others used."""
        self._since += 1
        if waiting > _BUSY and others >= _ALONE:
            self._calm = self._alone = 0
            if self.halvings < self._most and (self.halvings == 0 or self._since >= _SETTLE):
                self._change(+1)
        elif waiting < _QUIET:  # between the two a look says neither
            self._calm += 1
            self._alone += others < _ALONE
            if self.halvings > 0 and (self._alone >= _CALM or self._calm >= _PROBE):
                self._change(-1)

    def _change(self, by: int) -> None:
        self.halvings += by
        self._since = self._calm = self._alone = 0
