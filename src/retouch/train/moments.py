"""The moments of an optimiser, by the names of its parameters.

Its groups carry the names under `names`, so that a run may go on with other learning rates, and thus other groups.
"""

from collections.abc import Iterator
from typing import Any

import torch


def restore_moments(optimiser: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Give each parameter its moments of a saved state, whatever groups it was in: rates may have changed."""
    moments = dict(_by_name(saved))
    fresh = optimiser.state_dict()
    state = {number: moments[name] for name, number in _numbers(fresh) if name in moments}
    optimiser.load_state_dict({"state": state, "param_groups": fresh["param_groups"]})


def _by_name(state: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((name, state["state"][number]) for name, number in _numbers(state) if number in state["state"])


def _numbers(state: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield the name and the number of each parameter of an optimiser's state."""
    for group in state["param_groups"]:
        yield from zip(group["names"], group["params"], strict=True)
