"""A phase's optimiser, and its moments by the names of its parameters.

Its groups carry the names under `names`, so that a run may go on with other learning rates, and thus other groups.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from retouch.train.config import OptimiserConfig, PhaseConfig
from retouch.train.ema import trained_parameters
from retouch.train.schedule import check_factors, rate_of


def make_optimiser(module: nn.Module, settings: OptimiserConfig, phase: PhaseConfig) -> torch.optim.AdamW:
    """AdamW over the trained parameters, a group for each learning rate of the phase.

    Raises:
        InvalidField: a factor of the phase fits no parameter.
    """
    groups: dict[float, dict[str, nn.Parameter]] = {}
    trained = trained_parameters(module)
    check_factors(trained, phase)
    for name, parameter in trained.items():
        groups.setdefault(rate_of(name, phase), {})[name] = parameter
    return torch.optim.AdamW(
        [
            # The names are kept with the state: `restore_moments` finds each parameter by its own.
            {"params": list(group.values()), "names": list(group), "lr": rate}
            for rate, group in groups.items()
        ],
        betas=settings.betas,
        eps=settings.eps,
        weight_decay=settings.weight_decay,
        fused=True,
    )


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
