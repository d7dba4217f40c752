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
        buffer = self._buffers.get(name)
        if buffer is None or buffer.numel() < size:
            buffer = self._buffers[name] = torch.empty(size)
        return buffer[:size].view(shape)

    def clear(self) -> None:
        """Give the memory back."""
        self._buffers.clear()
