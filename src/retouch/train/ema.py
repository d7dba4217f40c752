"""Exponential moving average of trained weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def trained_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that take gradients, by name."""
    return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}


class Ema:
    """Shadows of a module's trained parameters; changed by `update`, on the training thread alone.

    The decay warms up as min(decay, (1 + n) / (10 + n)), so that a short run is not an average with its own start.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.shadows: dict[str, Tensor] = {
            name: parameter.detach().clone() for name, parameter in trained_parameters(module).items()
        }

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move the shadows towards the module's weights by 1 - decay."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        parameters = trained_parameters(module)
        weights = [parameters[name].detach() for name in self.shadows]
        torch._foreach_lerp_(list(self.shadows.values()), weights, 1.0 - decay)

    @torch.no_grad()
    def restart(self, module: nn.Module, *, only: tuple[str, ...]) -> None:
        """Take over the module's weights whose names begin so: they changed by other means than training."""
        for name, parameter in trained_parameters(module).items():
            if name.startswith(only):
                self.shadows[name].copy_(parameter)

    @contextmanager
    def swapped_in(self, module: nn.Module) -> Iterator[None]:
        """Within the block the module holds the averaged weights; afterwards its own again."""
        own = {name: parameter.detach().clone() for name, parameter in trained_parameters(module).items()}
        self._write(module, self.shadows)
        try:
            yield
        finally:
            self._write(module, own)

    @staticmethod
    @torch.no_grad()
    def _write(module: nn.Module, weights: dict[str, Tensor]) -> None:
        for name, parameter in trained_parameters(module).items():
            parameter.copy_(weights[name])

    def state(self) -> dict[str, object]:
        return {"shadows": self.shadows, "updates": self.updates}

    def load(self, state: dict[str, object]) -> None:
        """Take over a saved state.

        Raises:
            KeyError: it lacks a parameter of the module.
        """
        saved = state["shadows"]
        assert isinstance(saved, dict)
        self.shadows = {name: saved[name].to(own.device, copy=True) for name, own in self.shadows.items()}
        self.updates = int(str(state["updates"]))
