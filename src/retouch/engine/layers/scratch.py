"""Memory that a model's layers take again and again."""

from math import prod

import torch


class Scratch:
    """Buffers by name, fp32. The system clears each page that it hands out; a kept one need not be cleared again.

    Used by one thread at a time.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, torch.Tensor] = {}

    def empty(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        """Return an uninitialised tensor; it is overwritten once somebody asks for the same name."""
        size = prod(shape)
        if name not in self._buffers or self._buffers[name].numel() < size:
            self._buffers.pop(name, None)  # before the larger one is made, so that they are never there together
            self._buffers[name] = torch.empty(size)
        return self._buffers[name][:size].view(shape)

    def clear(self) -> None:
        """Give the memory back."""
        self._buffers.clear()
