"""Pictures that worker processes make or decode ahead of the step that needs them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from retouch.train.pictures import PictureReader
from retouch.train.text import encode_captions


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some pictures as they come from a worker.

    Attributes:
        images: (N, H, W, 3) bytes.
        masks: (N, H, W) bool, True = repaint.
        tokens: (N, T) ids of the captions.
    """

    images: Tensor
    masks: Tensor
    tokens: Tensor

    def pin_memory(self) -> "Chunk":
        """The same in pinned memory; DataLoader asks for it where an accelerator is fed."""
        return Chunk(self.images.pin_memory(), self.masks.pin_memory(), self.tokens.pin_memory())


@dataclass(frozen=True, slots=True)
class FeedSpec:
    """What is read, and by how many.

    `open_reader` is called once in each worker, and must be a module's function or a `functools.partial` of one.
    Chunk number n holds the same pictures whoever reads it.
    """

    open_reader: Callable[[], PictureReader]
    tokenizer: Any | None
    """None where no captions are wanted."""
    workers: int = 1
    chunk: int = 32
    seed: int = 0


class _Chunks(Dataset[Chunk]):
    """Chunks by number; each worker holds its own reader."""

    def __init__(self, spec: FeedSpec) -> None:
        self._spec = spec
        self._reader: PictureReader | None = None

    def __getitem__(self, number: int) -> Chunk:
        if self._reader is None:
            torch.set_num_threads(1)
            self._reader = self._spec.open_reader()
        picks = np.random.default_rng((self._spec.seed, number)).random(self._spec.chunk)
        found = [self._reader.read(float(pick)) for pick in picks]
        return Chunk(
            images=torch.from_numpy(np.stack([picture.image for picture in found])),
            masks=torch.from_numpy(np.stack([picture.mask for picture in found])),
            tokens=self._tokens([picture.caption for picture in found]),
        )

    def _tokens(self, captions: list[str]) -> Tensor:
        if self._spec.tokenizer is None:
            return torch.empty(len(captions), 0, dtype=torch.int64)
        return encode_captions(self._spec.tokenizer, captions)


def read_ahead(spec: FeedSpec, *, pin_memory: bool = False) -> Iterator[Chunk]:
    """Endless chunks in order, read ahead by `spec.workers` processes; 0 reads in this one."""
    loader: DataLoader[Chunk] = DataLoader(
        _Chunks(spec),
        sampler=count(),  # any iterable of numbers will do
        batch_size=None,
        num_workers=spec.workers,
        pin_memory=pin_memory,
        prefetch_factor=4 if spec.workers else None,
        multiprocessing_context="spawn" if spec.workers else None,
    )
    return iter(loader)
