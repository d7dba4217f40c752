"""A picture as it will be seen, in square views that leave no part of it unseen."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retouch.imaging.flatten import laid_on
from retouch.imaging.morphology import Box, Mask, crop, widen
from retouch.imaging.picture import Picture
from retouch.imaging.to_pillow import to_8_bits
from retouch.safety.parts import parts_of

MAX_ASPECT = 1.05
MIN_SIDE_PX = 256
FOCUS_SHARE = 0.5
MAX_VIEW_PX = 4096
"""Checkers scale a view to 224 or 256 pixels; a view as wide as the widest picture would take 800 MB."""
GREY = 127

Pixels8 = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What a checker is shown: its name, and (H, W, 3) uint8 pixels."""

    name: str
    pixels: Pixels8


@dataclass(frozen=True, slots=True, eq=False)
class Exhibit:
    """What is about to be handed out.

    Attributes:
        picture: the picture itself, composited, at full size and depth.
        repainted: (H, W), True = repainted; None where no part is more in question than the others.
    """

    picture: Picture
    repainted: Mask | None = None

    def looks(self) -> Iterator[View]:
        """Yield the whole picture in every way that it can be seen, at the bytes that 8-bit images of it have.

        That is one; where something is transparent three: the colours alone, and on black and on white.
        """
        picture = self.picture
        yield View("whole", _colours(to_8_bits(picture.pixels)))
        if picture.alpha is not None and int(picture.alpha.min()) < picture.peak:
            yield View("whole on black", _colours(laid_on(picture, 0)))
            yield View("whole on white", _colours(laid_on(picture, 255)))

    def views(self) -> Iterator[View]:
        """Yield square views: each look whole, in tiles where it is long, and its repainted parts where small.

        Checkers look at a square in the middle of what they are given. So a long picture is shown whole with grey
        bars, and in square tiles that overlap by half and reach both ends. A repainted part is shown with what it
        touches if it is below half of the picture's longer side, for in the whole it may be too small to judge.
        Views of more than `MAX_VIEW_PX` a side are averaged down to it.
        """
        for look in self.looks():
            ground = look.name.removeprefix("whole")
            yield View(look.name, _to_square(look.pixels))
            for name, box in (*self._tiles(), *self._focuses(is_seen=bool(ground))):
                yield View(name + ground, _to_square(crop(look.pixels, box)))

    def _tiles(self) -> Iterator[tuple[str, Box]]:
        height, width = self.picture.height, self.picture.width
        if max(height, width) > MAX_ASPECT * min(height, width):
            boxes = _tile_boxes(height, width)
            yield from ((f"tile {number}/{len(boxes)}", box) for number, box in enumerate(boxes, 1))

    def _focuses(self, *, is_seen: bool) -> Iterator[tuple[str, Box]]:
        """Yield the repainted parts; with `is_seen` those of them that are not entirely transparent."""
        if self.repainted is None:
            return
        alpha = self.picture.alpha if is_seen else None
        height, width = self.repainted.shape
        parts = parts_of(self.repainted if alpha is None else self.repainted & (alpha > 0))
        small = [box for box in parts if _side(box) < FOCUS_SHARE * max(height, width)]
        for number, box in enumerate(small, 1):
            # The part is judged with what it touches: half of its own size around it.
            name = "focus" if len(small) == 1 else f"focus {number}/{len(small)}"
            yield name, widen(box, _side(box) // 2, height, width)


def _tile_boxes(height: int, width: int) -> list[Box]:
    long, short = max(height, width), min(height, width)
    side = min(max(short, MIN_SIDE_PX), long)
    count = 1 + math.ceil((long - side) / (side / 2))
    starts = np.rint(np.linspace(0, long - side, count)).astype(int).tolist()
    if width >= height:
        return [(start, 0, start + side, height) for start in starts]
    return [(0, start, width, start + side) for start in starts]


def _side(box: Box) -> int:
    return max(box[2] - box[0], box[3] - box[1])


def _colours(samples: NDArray[np.generic]) -> Pixels8:
    eight = samples.astype(np.uint8, copy=False)
    return np.repeat(eight[..., None], 3, axis=2) if eight.ndim == 2 else eight


def _to_square(rgb: Pixels8) -> Pixels8:
    rgb = shrunk(rgb, MAX_VIEW_PX)
    height, width = rgb.shape[:2]
    side = max(height, width)
    if height == width:
        return np.ascontiguousarray(rgb)
    square = np.full((side, side, 3), GREY, dtype=np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = rgb
    return square


def shrunk(rgb: Pixels8, side_px: int) -> Pixels8:
    """Return (H, W, 3) averaged down until no side is longer than `side_px`."""
    height, width = rgb.shape[:2]
    scale = side_px / max(height, width)
    if scale >= 1:
        return rgb
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BOX))
