"""Where in a hole a whole thing has room."""

import numpy as np

from retouch.imaging.distance import squared_distance
from retouch.imaging.morphology import Box, Mask, bounding_box, crop, grow

_SLENDER = 0.75
"""Share of a hole's longer side below which its largest disc says that a thing of that length would be cut."""
_LEAST_PX = 8
"""Side of a place; what is smaller shows no thing."""
_GAP_SHARE = 1 / 32
"""Of a hole's longer side: gaps up to so wide, which outlines and brushes leave, take no room."""
_SEARCHED_SIDE = 1024
_NEARLY_WIDEST = 0.94
"""Of a squared distance: places of 97 % of the widest count as wide."""


def roomiest(mask: Mask) -> Mask | None:
    """Return the part of a slender or ragged hole where a thing as high as wide stands whole, as large as it can.

    That is the square around the largest disc in it, as far as it is marked: things seldom reach a square's
    corners. Of places as wide, as along a straight stroke, it is the one nearest to the hole's middle.

    Args:
        mask: (H, W), True = repaint; some pixel is marked.
    Returns:
        (H, W), a part of the mask. None where the disc is as wide as three quarters of the hole's longer side, so
        that a thing of that size has room; and where the hole is a thread, in which nothing has.
    """
    box = bounding_box(mask)
    assert box is not None
    inner = crop(mask, box)
    long = max(inner.shape)
    if min(inner.shape) >= _SLENDER * long and inner.all():
        return None  # most holes are boxes, and need no search
    step = -(-long // _SEARCHED_SIDE)
    square = _square_around_disc(_closed(_thinned(inner, step)))
    if square is None or not _LEAST_PX <= step * (square[2] - square[0]) < _SLENDER * long:
        return None
    left, top, right, bottom = (step * edge for edge in square)
    rows = slice(max(0, box[1] + top), box[1] + bottom)
    columns = slice(max(0, box[0] + left), box[0] + right)
    part = np.zeros_like(mask)
    part[rows, columns] = mask[rows, columns]
    return part


def _thinned(mask: Mask, step: int) -> Mask:
    """Return a mask at a `step`-th of its size; marked are the cells of which half the pixels are, or more."""
    height, width = (side // step for side in mask.shape)
    cells = mask[: height * step, : width * step].reshape(height, step, width, step)
    return np.asarray(2 * cells.sum(axis=(1, 3)) >= step * step)


def _closed(mask: Mask) -> Mask:
    """Return a mask without its small gaps."""
    radius = max(1, round(max(mask.shape) * _GAP_SHARE / 2))
    wide = grow(np.pad(mask, 2 * radius), radius)
    return ~grow(~wide, radius)[2 * radius : -2 * radius, 2 * radius : -2 * radius]


def _square_around_disc(mask: Mask) -> Box | None:
    """Return the square, which may reach beyond the mask's array; None where nothing is marked."""
    if not mask.any():
        return None
    inside = squared_distance(~np.pad(mask, 1), max(mask.shape))[1:-1, 1:-1]
    rows, columns = np.nonzero(mask)
    places = np.argwhere(inside >= _NEARLY_WIDEST * inside.max())
    row, column = (int(at) for at in places[((places - (rows.mean(), columns.mean())) ** 2).sum(axis=1).argmin()])
    reach = int(np.ceil(np.sqrt(inside.max())))
    return column - reach + 1, row - reach + 1, column + reach + 1, row + reach + 1
