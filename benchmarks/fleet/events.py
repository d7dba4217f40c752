"""Simulated time: events in their order, and processors that share themselves among jobs."""

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from functools import partial

Call = Callable[[], None]


class Events:
    """What will happen, in the order of its time; ties in the order in which they were planned."""

    def __init__(self) -> None:
        self.now = 0.0
        self._planned: list[tuple[float, int, Call]] = []
        self._numbers = itertools.count()

    def after(self, delay_s: float, call: Call) -> None:
        """Make a call so many seconds from now."""
        heapq.heappush(self._planned, (self.now + delay_s, next(self._numbers), call))

    def run(self) -> None:
        """Let time pass until nothing is planned any more."""
        while self._planned:
            self.now, _, call = heapq.heappop(self._planned)
            call()


class Processor:
    """Cores that are shared evenly by whatever runs on them; one job never has more than one."""

    def __init__(self, events: Events, cores: float = 1.0) -> None:
        self._events = events
        self._cores = cores
        self._jobs: list[tuple[float, int, Call]] = []  # by what each core had given when one is done
        self._numbers = itertools.count()
        self._given = 0.0  # seconds that every job that has been here all along has got
        self._since = 0.0
        self._plans = 0

    def run(self, work_s: float, done: Call) -> None:
        """Work for so many seconds of a core, then call."""
        self._advance()
        heapq.heappush(self._jobs, (self._given + work_s, next(self._numbers), done))
        self._plan()

    def _share(self) -> float:
        return min(1.0, self._cores / len(self._jobs)) if self._jobs else 0.0

    def _advance(self) -> None:
        self._given += (self._events.now - self._since) * self._share()
        self._since = self._events.now

    def _plan(self) -> None:
        self._plans += 1  # whoever comes or goes changes when the next one is done
        if self._jobs:
            left_s = (self._jobs[0][0] - self._given) / self._share()
            self._events.after(max(0.0, left_s), partial(self._finish, self._plans))

    def _finish(self, plan: int) -> None:
        if plan != self._plans:
            return
        self._advance()
        _, _, done = heapq.heappop(self._jobs)
        self._plan()
        done()


class Hands:
    """A few threads on a processor; who comes when all are at work waits."""

    def __init__(self, processor: Processor, threads: int) -> None:
        self._processor = processor
        self._free = threads
        self._waiting: deque[tuple[float, Call]] = deque()

    def run(self, work_s: float, done: Call) -> None:
        """Work for so many seconds in one of the threads, then call."""
        self._waiting.append((work_s, done))
        self._begin()

    def _begin(self) -> None:
        while self._free and self._waiting:
            self._free -= 1
            work_s, done = self._waiting.popleft()
            self._processor.run(work_s, partial(self._end, done))

    def _end(self, done: Call) -> None:
        self._free += 1
        self._begin()
        done()
