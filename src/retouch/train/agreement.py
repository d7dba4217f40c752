"""What all processes of a run decide alike, or share out: when to stop, how much time has passed, what to encode.

A signal reaches one process before another, and clocks differ; a process that stopped a step early would leave the
others waiting for its gradients. So after each step all take the largest answer, through the hosts, and no
accelerator is waited for.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

T = TypeVar("T")
R = TypeVar("R")

PATIENCE = timedelta(hours=2)
"""How long the others wait for the process that writes checkpoints, samples and exports."""


class Agreement:
    """The largest of what each process says, or all of it; made and asked by all of them at the same points."""

    def __init__(self) -> None:
        self._group = dist.new_group(backend="gloo", timeout=PATIENCE) if _is_shared() else None
        self.rank = 0 if self._group is None else dist.get_rank()
        self.world = 1 if self._group is None else dist.get_world_size()

    def settle(self, *, stop: bool, elapsed_s: float) -> tuple[bool, float]:
        """Whether any process wants to stop, and the most seconds that one has counted."""
        if self._group is None:
            return stop, elapsed_s
        said = torch.tensor([float(stop), elapsed_s], dtype=torch.float64)
        dist.all_reduce(said, op=dist.ReduceOp.MAX, group=self._group)
        return bool(said[0]), float(said[1])

    def dealt_out(self, items: Sequence[T], work: Callable[[T], R], *, at_once: int) -> list[R]:
        """What `work` makes of all items, in their order; each process does its part of them, and gets the rest.

        Args:
            at_once: items of each process between two exchanges, whose results are in memory several times over.
        """
        made: list[R] = []
        for start in range(0, len(items), at_once * self.world):
            part = items[start : start + at_once * self.world]
            mine = [work(item) for item in part[self.rank :: self.world]]
            parts = [mine] * self.world
            if self._group is not None:
                dist.all_gather_object(parts, mine, group=self._group)
            made += [parts[number % self.world][number // self.world] for number in range(len(part))]
        return made


def _is_shared() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
