"""What all processes of a run must decide alike: when to stop, and how much time has passed.

A signal reaches one process before another, and clocks differ; a process that stopped a step early would leave the
others waiting for its gradients. So after each step all take the largest answer, through the hosts, and no
accelerator is waited for.
"""

from datetime import timedelta

import torch
import torch.distributed as dist

PATIENCE = timedelta(hours=2)
"""How long the others wait for the process that writes checkpoints, samples and exports."""


class Agreement:
    """The largest of what each process says; made and asked by all of them at the same points."""

    def __init__(self) -> None:
        self._group = dist.new_group(backend="gloo", timeout=PATIENCE) if _is_shared() else None

    def settle(self, *, stop: bool, elapsed_s: float) -> tuple[bool, float]:
        """Whether any process wants to stop, and the most seconds that one has counted."""
        if self._group is None:
            return stop, elapsed_s
        said = torch.tensor([float(stop), elapsed_s], dtype=torch.float64)
        dist.all_reduce(said, op=dist.ReduceOp.MAX, group=self._group)
        return bool(said[0]), float(said[1])


def _is_shared() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
