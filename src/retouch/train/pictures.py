"""Pictures for training, by number: composed scenes, or tar shards of pictures and captions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retouch.data import masks
from retouch.data.compose import SceneComposer, Split
from retouch.data.mixture import MIXTURES, MixtureName
from retouch.data.shard_index import ShardIndex
from retouch.data.shard_order import ShardOrder
from retouch.data.shard_samples import ShardSamples
from retouch.data.shards import BrokenSample, Sample
from retouch.errors import ModelError

MOST_BROKEN = 20
"""So many samples in a row that cannot be read are no accident."""


@dataclass(frozen=True, slots=True)
class MaskedPicture:
    """image (H, W, 3) bytes; mask (H, W), True = repaint; both of the same crop.

    `passed_over` names samples that could not be read and gave way to this one. `portrait` (H, W, 3) shows what is
    painted by itself, where the caption does not say it.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    caption: str
    passed_over: tuple[str, ...] = ()
    portrait: NDArray[np.uint8] | None = None


class PictureReader(Protocol):
    """Pictures by number, without end: the same number, the same picture, crop and mask."""

    def read(self, number: int) -> MaskedPicture:
        """The picture of `number`, from 0."""


class SceneReader:
    """Composed scenes; the composer brings its own masks."""

    def __init__(
        self,
        folder: Path,
        *,
        size: int,
        mixture: MixtureName = "full",
        seed: Sequence[int] = (0,),
        split: Split = "train",
        words: frozenset[str] | None = None,
    ) -> None:
        self._composer = SceneComposer.open(folder, size=size, split=split, mixture=MIXTURES[mixture], words=words)
        self._seed = tuple(seed)

    def read(self, number: int) -> MaskedPicture:
        scene = self._composer.scene(np.random.default_rng((*self._seed, number)))
        return MaskedPicture(scene.image, scene.mask, scene.caption, portrait=scene.portrait)


class ShardPictures:
    """WebDataset shards in a shuffled order, every sample once an epoch, a window of shards at a time.

    A sample's own mask is used where it has one, and leaves something to repaint in the crop; else one is drawn.
    """

    def __init__(
        self, index: ShardIndex, *, size: int, full_mask_rate: float, window: int = 16, seed: Sequence[int] = (0,)
    ) -> None:
        self._order = ShardOrder(index.counts, seed=seed, window=window)
        self._samples = ShardSamples(index, most_open=window)
        self._seed = tuple(seed)
        self._size = size
        self._full_mask_rate = full_mask_rate

    def read(self, number: int) -> MaskedPicture:
        """The picture of `number`; one that cannot be read gives way to another, the same one each time.

        Raises:
            ModelError: `MOST_BROKEN` in a row are broken.
        """
        passed_over: list[str] = []
        while len(passed_over) < MOST_BROKEN:
            try:
                sample = self._samples.read(*self._order.locate(number, turn=len(passed_over)))
            except BrokenSample as error:
                passed_over.append(str(error))
                continue
            return self._masked(sample, np.random.default_rng((*self._seed, number)), tuple(passed_over))
        raise ModelError("the shards hold hardly any picture that can be decoded", hint=passed_over[-1])

    def _masked(self, sample: Sample, rng: np.random.Generator, passed_over: tuple[str, ...]) -> MaskedPicture:
        # One crop for picture and mask, or the model learns to ignore masks.
        box = random_box(sample.image.shape[1], sample.image.shape[0], rng)
        image = _scaled(Image.fromarray(sample.image), box, self._size, Image.Resampling.LANCZOS)
        mask = draw_mask(rng, self._size, full_rate=self._full_mask_rate)
        if sample.mask is not None and not mask.all():
            own = _scaled(Image.fromarray(sample.mask), box, self._size, Image.Resampling.NEAREST).astype(np.bool_)
            mask = own if own.any() else mask
        return MaskedPicture(image, mask, sample.caption, passed_over)


def random_box(width: int, height: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """A square as large as the shorter side, anywhere along the longer one: left, top, right, bottom."""
    side = min(width, height)
    left = int(rng.integers(width - side + 1))
    top = int(rng.integers(height - side + 1))
    return left, top, left + side, top + side


def _scaled(
    image: Image.Image, box: tuple[int, int, int, int], size: int, how: Image.Resampling
) -> NDArray[np.uint8]:
    return np.asarray(image.resize((size, size), how, box=box))


def draw_mask(rng: np.random.Generator, size: int, *, full_rate: float) -> NDArray[np.bool_]:
    """Everything with probability `full_rate`; else strokes (medium or thick), or a box, in equal parts."""
    if rng.random() < full_rate:
        return masks.full((size, size))
    kind = int(rng.integers(3))
    if kind == 0:
        return masks.random_box(rng, (size, size))
    return masks.irregular(rng, (size, size), "medium" if kind == 1 else "thick")
