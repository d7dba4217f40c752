"""Examples of one picture of a folder: some crops of it, each with holes."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retouch.data import masks
from retouch.data.folder import FolderItem
from retouch.data.pixels import TRAINING_LIMITS, mask_pixels, rgb_pixels
from retouch.errors import ImageError, MaskEmpty, MaskSizeError
from retouch.imaging.sources import read_bytes
from retouch.train.crops import Box, Shape, cut_mask, cut_picture, largest_box, nearest_shape, random_box

HOLE_TRIES = 20


@dataclass(frozen=True, slots=True)
class CutSpec:
    """How pictures are cut; `shapes` are those that crops may have."""

    shapes: tuple[Shape, ...]
    crops: int
    masks: int


@dataclass(frozen=True, slots=True)
class Photograph:
    """A picture file and its mask's as bytes, with its caption."""

    name: str
    picture: bytes
    mask: bytes | None
    caption: str

    @property
    def digest(self) -> str:
        """SHA-256 of picture and mask: what the examples are made from, caption aside."""
        parts = (self.picture, self.mask or b"")
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


@dataclass(frozen=True, slots=True)
class Cuts:
    """Crops of one picture, the whole of it first.

    Attributes:
        images: (C, H, W, 3) bytes.
        masks: (C, M, H, W), True = repaint.
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.bool_]


def read_photograph(item: FolderItem) -> Photograph:
    """Read the files of a picture.

    Raises:
        ImageError: one is too large, or not there any more.
    """
    limit = TRAINING_LIMITS.image_bytes
    mask = None if item.mask is None else read_bytes(item.mask, limit)
    return Photograph(item.image.name, read_bytes(item.image, limit), mask, item.caption)


def cut_photograph(photograph: Photograph, spec: CutSpec) -> Cuts:
    """Cut a picture into examples: the same ones for the same files, whatever else the folder holds.

    A picture that brings a mask has that one in every crop; for others, masks are drawn as people draw them.

    Raises:
        ImageError: the picture or its mask is broken.
        MaskSizeError: the mask has another size than the picture.
        MaskEmpty: the mask repaints nothing.
    """
    pixels = rgb_pixels(photograph.picture)
    size = pixels.shape[0], pixels.shape[1]
    own = None if photograph.mask is None else _own_mask(photograph, size)
    shape = nearest_shape(size, list(spec.shapes))
    rng = np.random.default_rng(int(photograph.digest[:16], 16))
    images, holes = [], []
    for number in range(spec.crops):
        box = largest_box(size, shape) if number == 0 else random_box(rng, size, shape)
        if own is None:
            hole = np.stack([masks.anywhere(rng, shape) for _ in range(spec.masks)])
        else:
            box, hole = _around_mask(rng, own, box, shape)
        if hole.any():  # not so where the mask lies at the very edge of a long picture
            images.append(cut_picture(pixels, box, shape))
            holes.append(hole)
    if not images:
        raise MaskEmpty(f"no crop of {photograph.name} shows its mask", hint="cut the picture by hand")
    return Cuts(np.stack(images), np.stack(holes))


def _around_mask(
    rng: np.random.Generator, mask: NDArray[np.bool_], box: Box, shape: Shape
) -> tuple[Box, NDArray[np.bool_]]:
    """A box that shows something of a mask, or else the largest; and what it shows, (1, H, W)."""
    size = mask.shape[0], mask.shape[1]
    for _ in range(HOLE_TRIES):
        hole = cut_mask(mask, box, shape)
        if hole.any():
            return box, hole[None]
        box = random_box(rng, size, shape)
    box = largest_box(size, shape)
    return box, cut_mask(mask, box, shape)[None]


def _own_mask(photograph: Photograph, size: Shape) -> NDArray[np.bool_]:
    assert photograph.mask is not None
    try:
        mask = mask_pixels(photograph.mask)
    except ImageError as error:
        raise type(error)(f"its mask: {error}", hint=error.hint) from error
    if mask.shape != size:
        shown = f"{mask.shape[1]}x{mask.shape[0]}, the picture {size[1]}x{size[0]}"
        raise MaskSizeError(f"the mask of {photograph.name} is {shown}", hint="save it at the picture's size")
    if not mask.any():
        raise MaskEmpty(
            f"the mask of {photograph.name} repaints nothing",
            hint="white is repainted; take it away, and masks are drawn",
        )
    return mask
