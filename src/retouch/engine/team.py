"""On how many threads a model is called: on fewer beside other work, where no bit depends on it.

Threads that share small operations wait for each other after each, and beside other work often for one that has
lost its processor. Where operations are small, fewer threads lose little on a quiet machine and win much on a
busy one. But some operations add up in another order on another number of threads, and a seed should be one
picture whatever else the machine does. Which those are depends on shapes, processor and libraries: it is tried,
not assumed.
"""

import time
from collections.abc import Callable, Hashable

import torch

from retouch.engine.workers import on_threads

_LONG_S = 0.15
"""Calls that take longer have large operations, whose threads share processors with other work well enough: full
calls of a server keep theirs."""


class Team:
    """The threads of one engine's calls. Used by the engine's thread alone."""

    def __init__(self, threads: Callable[[int], int], *, engines: int = 1) -> None:
        """Be one of so many; `threads(most)` says on how many of a team's threads the next call should be."""
        self._threads = threads
        self._engines = engines
        self._fastest_s: dict[Hashable, float] = {}
        self._is_same: dict[Hashable, dict[int, bool]] = {}

    def run(
        self, what: Hashable, call: Callable[[], torch.Tensor], afresh: Callable[[], torch.Tensor]
    ) -> torch.Tensor:
        """Return what the call gives; bit for bit the same on however many threads it is.

        When fewer threads are wanted for the first time, the call is made on fewer, again on all, and compared.

        Args:
            what: equal for calls that compute the same way.
            afresh: the call, without anything that an earlier one has left.
        """
        most = torch.get_num_threads()
        fewer = self._wanted(what, most)
        if fewer >= most:
            return self._timed(what, call)
        known = self._is_same.setdefault(what, {})
        if fewer not in known and all(known.values()):
            with on_threads(fewer):
                found = afresh().clone()  # the second call may write where the first one's result lies
            made = afresh()
            known[fewer] = torch.equal(_bits(found), _bits(made))
            return made
        if not all(known.values()):
            return call()
        with on_threads(fewer):
            return call()

    def _wanted(self, what: Hashable, most: int) -> int:
        ours = max(1, most // self._engines)
        calm = self._threads(ours)
        return calm if self._is_short(what) else ours

    def _is_short(self, what: Hashable) -> bool:
        return self._fastest_s.get(what, _LONG_S) < _LONG_S

    def _timed(self, what: Hashable, call: Callable[[], torch.Tensor]) -> torch.Tensor:
        start = time.perf_counter()
        made = call()
        taken_s = time.perf_counter() - start
        self._fastest_s[what] = min(taken_s, self._fastest_s.get(what, taken_s))
        return made


def _bits(numbers: torch.Tensor) -> torch.Tensor:
    """Return fp32 numbers as they lie in memory: NaN equals itself there, and 0 does not equal -0."""
    return numbers.view(torch.int32)
