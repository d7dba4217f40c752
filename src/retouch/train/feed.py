"""Pictures that worker processes make or decode ahead of the step that needs them."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from retouch.train.pictures import PictureReader
from retouch.train.text import encode_captions

AHEAD = 4
"""Chunks that each process holds ready."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some pictures as they come from a worker.

    Attributes:
        images: (N, H, W, 3) bytes.
        masks: (N, H, W) bool, True = repaint.
        tokens: (N, T) ids of the captions.
        passed_over: names of samples that could not be read.
        portraits: (H, W, 3) bytes by row, of what captions do not say.
    """

    images: Tensor
    masks: Tensor
    tokens: Tensor
    passed_over: tuple[str, ...] = ()
    portraits: dict[int, Tensor] = field(default_factory=dict)

    def pin_memory(self) -> "Chunk":
        """The same in pinned memory; DataLoader asks for it where an accelerator is fed."""
        return replace(
            self,
            images=self.images.pin_memory(),
            masks=self.masks.pin_memory(),
            tokens=self.tokens.pin_memory(),
        )


@dataclass(frozen=True, slots=True)
class FeedSpec:
    """What is read, and by how many.

    `open_reader` is called once in each worker, and must be a module's function or a `functools.partial` of one.
    """

    open_reader: Callable[[], PictureReader]
    tokenizer: Any | None
    """None where no captions are wanted."""
    workers: int = 1
    """0 reads in the process that asks."""


class _Chunks(Dataset[Chunk]):
    """Chunks by the numbers of their pictures; each worker holds its own reader."""

    def __init__(self, spec: FeedSpec) -> None:
        self._spec = spec
        self._reader: PictureReader | None = None

    def __getitem__(self, numbers: Iterable[int]) -> Chunk:
        if self._reader is None:
            if self._spec.workers:
                torch.set_num_threads(1)
            self._reader = self._spec.open_reader()
        found = [self._reader.read(number) for number in numbers]
        return Chunk(
            images=torch.from_numpy(np.stack([picture.image for picture in found])),
            masks=torch.from_numpy(np.stack([picture.mask for picture in found])),
            tokens=self._tokens([picture.caption for picture in found]),
            passed_over=tuple(name for picture in found for name in picture.passed_over),
            portraits={
                row: torch.from_numpy(picture.portrait)
                for row, picture in enumerate(found)
                if picture.portrait is not None
            },
        )

    def _tokens(self, captions: list[str]) -> Tensor:
        if self._spec.tokenizer is None:
            return torch.empty(len(captions), 0, dtype=torch.int64)
        return encode_captions(self._spec.tokenizer, captions)


def read_ahead(spec: FeedSpec, numbers: Iterable[Iterable[int]], *, pin_memory: bool = False) -> Iterator[Chunk]:
    """Chunks of the pictures of these numbers, in their order, whatever the number of workers."""
    loader: DataLoader[Chunk] = DataLoader(
        _Chunks(spec),
        sampler=numbers,
        batch_size=None,
        num_workers=spec.workers,
        pin_memory=pin_memory,
        prefetch_factor=AHEAD if spec.workers else None,
        multiprocessing_context="spawn" if spec.workers else None,
        worker_init_fn=_stand_alone if spec.workers else None,
    )
    return iter(loader)


def _stand_alone(_worker: int) -> None:
    """Leave the training process's group: Ctrl-C, or a launcher's signal to all, must not end the readers before
    the step that needs them. Whoever trains ends them, or they notice that it is gone."""
    os.setsid()


def each_its_own(*, chunk: int = 32, rank: int = 0, world: int = 1) -> Iterator[range]:
    """Numbers without end, `chunk` at a time: of `world` processes each has others."""
    return (range(number * chunk, (number + 1) * chunk) for number in count(rank, world))
