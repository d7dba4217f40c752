"""The square views of a picture that a checker is shown, so that no part of it goes unseen."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retouch.imaging.picture import Picture

Box = tuple[int, int, int, int]  # left, top, right, bottom; right and bottom excluded

MAX_ASPECT = 1.05
MIN_SIDE_PX = 256
FOCUS_SHARE = 0.5
MAX_VIEW_PX = 4096
"""Checkers scale a view to 224 or 256 pixels; a view as wide as the widest picture would take 800 MB."""
_GREY = 127


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A square part of a picture: what it is called, and (S, S, 3) uint8 pixels."""

    name: str
    pixels: NDArray[np.uint8]


def views_of(picture: Picture, focus: Box | None = None) -> list[View]:
    """Return the whole picture, tiles of it where it is long, and the repainted part where it is small.

    Checkers look at a square in the middle of what they are given. So a long picture is shown whole with grey
    bars, and in square tiles that overlap by half and reach both ends. Sixteen bits become eight; views of more
    than `MAX_VIEW_PX` a side are averaged down to it.

    Args:
        focus: the box of the repainted part; shown on its own if its longer side is below half of the
            picture's longer side, for in the whole picture it may be too small to judge.
    """
    rgb = _eight_bits(picture)
    height, width = rgb.shape[:2]
    views = [View("whole", _to_square(rgb))]
    if max(height, width) > MAX_ASPECT * min(height, width):
        boxes = _tile_boxes(height, width)
        views += [
            View(f"tile {number}/{len(boxes)}", _to_square(_cut(rgb, box))) for number, box in enumerate(boxes, 1)
        ]
    if focus is not None and _is_small(focus, height, width):
        views.append(View("focus", _to_square(_cut(rgb, _widen(focus, height, width)))))
    return views


def _tile_boxes(height: int, width: int) -> list[Box]:
    long, short = max(height, width), min(height, width)
    side = min(max(short, MIN_SIDE_PX), long)
    count = 1 + math.ceil((long - side) / (side / 2))
    starts = np.rint(np.linspace(0, long - side, count)).astype(int).tolist()
    if width >= height:
        return [(start, 0, start + side, height) for start in starts]
    return [(0, start, width, start + side) for start in starts]


def _is_small(focus: Box, height: int, width: int) -> bool:
    left, top, right, bottom = focus
    return 0 < max(right - left, bottom - top) < FOCUS_SHARE * max(height, width)


def _widen(focus: Box, height: int, width: int) -> Box:
    # The part is judged with what it touches: half of its own size around it.
    left, top, right, bottom = focus
    margin = max(right - left, bottom - top) // 2
    return max(0, left - margin), max(0, top - margin), min(width, right + margin), min(height, bottom + margin)


def _cut(rgb: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    left, top, right, bottom = box
    return rgb[top:bottom, left:right]


def _to_square(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    rgb = _shrunk(rgb)
    height, width = rgb.shape[:2]
    side = max(height, width)
    if height == width:
        return np.ascontiguousarray(rgb)
    square = np.full((side, side, 3), _GREY, dtype=np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = rgb
    return square


def _shrunk(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = rgb.shape[:2]
    scale = MAX_VIEW_PX / max(height, width)
    if scale >= 1:
        return rgb
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BOX))


def _eight_bits(picture: Picture) -> NDArray[np.uint8]:
    pixels = picture.pixels
    eight = pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
    return np.repeat(eight[..., None], 3, axis=2) if eight.ndim == 2 else eight.astype(np.uint8, copy=False)
