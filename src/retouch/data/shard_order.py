"""The order in which training sees the samples of shards: shuffled, and known for every number alone.

All samples come once an epoch. Shards are shuffled, and taken a window at a time; within a window all samples are
shuffled. So any process can tell which sample has number n, and none touches more than a window of shards at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


class ShardOrder:
    """Samples by number, without end; epoch follows epoch.

    Args:
        counts: samples of each shard; at least one in all.
        seed: of every shuffle.
        window: shards that are mixed.
    """

    def __init__(self, counts: Numbers, *, seed: Sequence[int], window: int) -> None:
        self._counts = counts
        self._seed = tuple(seed)
        self._window = window
        self._total = int(counts.sum())
        # A window's shuffle is made once, and read until its last sample has come.
        self._epoch = lru_cache(maxsize=2)(self._shuffle_shards)
        self._mixed = lru_cache(maxsize=2)(self._mix_window)

    def locate(self, number: int, turn: int = 0) -> tuple[int, int]:
        """Return (shard, sample) of a number.

        `turn` asks for another in its place, `turn` samples further on in the same window.
        """
        epoch, rest = divmod(number, self._total)
        _, ends = self._epoch(epoch)
        window = int(np.searchsorted(ends, rest, side="right"))
        first = int(ends[window - 1]) if window else 0
        shards, starts, shuffled = self._mixed(epoch, window)
        place = int(shuffled[(rest - first + turn) % len(shuffled)])
        shard = int(np.searchsorted(starts, place, side="right")) - 1
        return int(shards[shard]), place - int(starts[shard])

    def _shuffle_shards(self, epoch: int) -> tuple[Numbers, Numbers]:
        """Return the shards in an epoch's order, and how many samples have come at the end of each window."""
        order = np.random.default_rng((*self._seed, epoch)).permutation(np.flatnonzero(self._counts))
        come = np.cumsum(self._counts[order])
        lasts = np.minimum(np.arange(self._window, len(order) + self._window, self._window), len(order)) - 1
        return order, come[lasts]

    def _mix_window(self, epoch: int, window: int) -> tuple[Numbers, Numbers, Numbers]:
        """Return a window's shards, the number of the first sample of each, and its samples shuffled."""
        order, _ = self._epoch(epoch)
        shards = order[window * self._window : (window + 1) * self._window]
        ends = np.cumsum(self._counts[shards])
        shuffled = np.random.default_rng((*self._seed, epoch, window)).permutation(int(ends[-1]))
        return shards, np.concatenate([[0], ends[:-1]]), shuffled
