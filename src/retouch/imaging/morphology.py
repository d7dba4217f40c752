"""Masks grown, filled, thinned and measured: plain functions of (H, W) booleans, True = repaint."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from retouch.imaging.distance import squared_distance

_Scalar = TypeVar("_Scalar", bound=np.generic)

Mask = NDArray[np.bool_]
Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom are the first column and row outside."""


def bounding_box(mask: Mask) -> Box | None:
    """Return the smallest box that holds every marked pixel, or None where there is none."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return None
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def widen(box: Box, margin_px: int, height: int, width: int) -> Box:
    """Return the box with a margin on all sides, inside a picture of the given size."""
    left, top, right, bottom = box
    return (
        max(0, left - margin_px),
        max(0, top - margin_px),
        min(width, right + margin_px),
        min(height, bottom + margin_px),
    )


def crop(array: NDArray[_Scalar], box: Box) -> NDArray[_Scalar]:
    """Return the view of an array (H, W, ...) that lies in the box."""
    left, top, right, bottom = box
    return array[top:bottom, left:right]


def grow(mask: Mask, radius_px: int) -> Mask:
    """Mark every pixel whose centre is within `radius_px` of a marked one's: a round brush, exact."""
    box = bounding_box(mask)
    if radius_px <= 0 or box is None:
        return mask.copy()
    left, top, right, bottom = widen(box, radius_px, *mask.shape)
    grown = mask.copy()
    near = squared_distance(mask[top:bottom, left:right], radius_px) <= radius_px * radius_px
    grown[top:bottom, left:right] = near
    return grown


def opened(mask: Mask, side_px: int) -> Mask:
    """Keep what a square of `side_px` fits into; beyond the border the mask is taken to go on."""
    return _any_ahead(_all_ahead(mask, side_px), side_px)


def _all_ahead(mask: Mask, side_px: int) -> Mask:
    """Mark, in a frame wider by a square less one, where a whole square to the lower right is marked."""
    margin = side_px - 1
    padded = np.pad(mask, margin, mode="edge")
    return _combined_ahead(padded, side_px, np.logical_and)


def _any_ahead(starts: Mask, side_px: int) -> Mask:
    """Mark every pixel of the squares that begin at `starts`: the inverse walk of `_all_ahead`."""
    return _combined_ahead(starts, side_px, np.logical_or)


def _combined_ahead(mask: Mask, side_px: int, combine: np.ufunc) -> Mask:
    """Combine each sample with the whole square to its lower right, in steps that double."""
    for axis in (0, 1):
        done = 1
        while done < side_px:
            step = min(done, side_px - done)
            mask = _pair(mask, step, axis, combine)
            done += step
    return mask


def _pair(mask: Mask, step: int, axis: int, combine: np.ufunc) -> Mask:
    """Combine each sample with the one `step` further on; the axis becomes shorter by `step`."""
    length = mask.shape[axis] - step
    near = mask[:length] if axis == 0 else mask[:, :length]
    far = mask[step:] if axis == 0 else mask[:, step:]
    combined: Mask = combine(near, far)
    return combined
