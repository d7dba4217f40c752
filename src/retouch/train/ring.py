"""A ring of composed pictures that another process keeps renewing, so that training never waits for composing."""

import multiprocessing
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retouch.data.compose import SceneComposer


@dataclass(frozen=True, slots=True)
class RingSpec:
    """Where the ring is kept, how much it holds, and how fast it is renewed after the first filling."""

    data_dir: Path
    folder: Path
    size: int = 128
    slots: int = 4096
    scenes_per_s: float = 12.0
    seed: int = 0


def fill_ring(spec: RingSpec) -> None:
    """The worker's main function: compose scenes for ever, at full speed first, then `scenes_per_s`."""
    composer = SceneComposer.open(spec.data_dir, size=spec.size, split="train")
    pictures = np.load(spec.folder / "pictures.npy", mmap_mode="r+")
    filled = np.load(spec.folder / "filled.npy", mmap_mode="r+")
    number = 0
    while os.getppid() != 1:  # ends with its parent, however that ended
        scene = composer.scene(np.random.default_rng((spec.seed, number)))
        # A reader may see a slot half old and half new: both halves are pictures, and a crop rarely crosses.
        pictures[number % spec.slots] = scene.image
        number += 1
        filled[0] = min(number, spec.slots)
        if number >= spec.slots:
            time.sleep(1.0 / spec.scenes_per_s)


class SceneRing:
    """The reader's end. Owns the worker process: use it as a context manager."""

    def __init__(self, spec: RingSpec) -> None:
        self._spec = spec
        spec.folder.mkdir(parents=True, exist_ok=True)
        shape = (spec.slots, spec.size, spec.size, 3)
        self._pictures = np.lib.format.open_memmap(
            spec.folder / "pictures.npy", mode="w+", dtype=np.uint8, shape=shape
        )
        self._filled = np.lib.format.open_memmap(spec.folder / "filled.npy", mode="w+", dtype=np.int64, shape=(1,))
        context = multiprocessing.get_context("spawn")
        self._worker = context.Process(target=fill_ring, args=(spec,), daemon=True)

    def __enter__(self) -> "SceneRing":
        self._worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.terminate()
        self._worker.join()

    def wait_for(self, count: int) -> None:
        """Block until `count` pictures are there.

        Raises:
            RuntimeError: the worker ended before that; its traceback is on stderr.
        """
        while int(self._filled[0]) < count:
            self._worker.join(0.2)
            if self._worker.exitcode is not None:
                raise RuntimeError(f"the composing process ended with exit code {self._worker.exitcode}")

    def crops(self, rng: np.random.Generator, *, count: int, side: int) -> NDArray[np.uint8]:
        """Random square crops of random pictures: (count, side, side, 3)."""
        filled = int(self._filled[0])
        out = np.empty((count, side, side, 3), np.uint8)
        for index in range(count):
            slot = int(rng.integers(filled))
            top, left = (int(rng.integers(self._spec.size - side + 1)) for _ in range(2))
            out[index] = self._pictures[slot, top : top + side, left : left + side]
        return out
