"""The ticket: what the engine gives for a plan."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Self

import torch


@dataclass(frozen=True, slots=True, eq=False)
class Denoised:
    """A finished picture.

    Attributes:
        image: (3, H, W) fp32 in [0, 1], on the CPU.
        latents: (C, h, w) fp32, on the CPU; none where nothing was denoised.
        seed: as planned.
        calls: UNet calls that were made (more than steps for second-order samplers).
        rows_per_call: 0 where calls were as large as company made them, R where each had exactly R rows.
        timings_s: seconds from submission to the first call (`queued`) and inside calls of each kind; a shared
            call counts whole for each who shared it.
    """

    image: torch.Tensor
    latents: torch.Tensor
    seed: int
    calls: int
    rows_per_call: int
    timings_s: Mapping[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class Progress:
    """How far a trajectory is; the latest value only.

    Attributes:
        step: UNet calls done.
        total: UNet calls in all.
    """

    step: int
    total: int
    _x0: Callable[[], torch.Tensor] | None = field(default=None, repr=False)
    _matrix: Callable[[], torch.Tensor] | None = field(default=None, repr=False)

    def preview(self) -> torch.Tensor | None:
        """Return a rough picture of where it is going; computed now, on the caller's thread.

        Returns:
            (3, h, w) fp32 in [0, 1], one pixel a latent cell, on the CPU; None before the first step.
        """
        if self._x0 is None or self._matrix is None:
            return None
        x0 = self._x0().float().cpu()
        matrix = self._matrix().float().cpu()
        rgb = torch.einsum("chw,cr->rhw", x0, matrix[:-1]) + matrix[-1][:, None, None]
        return (rgb / 2 + 0.5).clamp(0.0, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Ticket:
    """A place in the engine; usable from any thread.

    Attributes:
        future: the finished picture, or the error that ended the work: `Cancelled`, `DeadlineExceeded`,
            `NonFinite`, `OutOfMemory`, `GenerationFailed`, `EngineClosed`.
    """

    future: Future[Denoised]
    _cancel: Callable[[], None] = field(repr=False)
    _progress: Callable[[], Progress] = field(repr=False)

    def cancel(self) -> None:
        """Give the work up before its next call; without effect once it is done."""
        self._cancel()

    @classmethod
    def at_once(cls, denoised: Denoised) -> Self:
        """Return the ticket of a picture for which nothing has to be done."""
        future: Future[Denoised] = Future()
        future.set_result(denoised)
        return cls(future, lambda: None, lambda: Progress(0, 0))

    @property
    def progress(self) -> Progress:
        """How far the work is."""
        return self._progress()
