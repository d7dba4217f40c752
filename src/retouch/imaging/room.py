"""Where in a hole a whole thing has room."""

import numpy as np

from retouch.imaging.distance import squared_distance
from retouch.imaging.morphology import Box, Mask, bounding_box, crop

_SLENDER = 0.75
"""Share of a hole's longer side below which its largest disc says that the hole is no place for one thing."""
_SEARCHED_SIDE = 1024
_NEARLY_WIDEST = 0.97


def roomiest(mask: Mask) -> Mask | None:
    """Return the part of a hole where a thing as high as wide stands whole, as large as it can.

    That is the square around the largest disc in it, as far as it is marked: things seldom reach a square's
    corners. Of places as wide, as along a straight stroke, it is the one nearest to the hole's middle.

    Args:
        mask: (H, W), True = repaint; some pixel is marked.
    Returns:
        (H, W), a part of the mask; None where the whole hole is such a place: about as high as wide, without bays.
    """
    box = bounding_box(mask)
    assert box is not None
    long = max(box[2] - box[0], box[3] - box[1])
    step = -(-long // _SEARCHED_SIDE)
    square = _square_around_disc(_thinned(crop(mask, box), step))
    if square is None or step * (square[2] - square[0]) >= _SLENDER * long:
        return None
    left, top, right, bottom = (step * edge for edge in square)
    rows = slice(max(0, box[1] + top), box[1] + bottom)
    columns = slice(max(0, box[0] + left), box[0] + right)
    part = np.zeros_like(mask)
    part[rows, columns] = mask[rows, columns]
    return part


def _square_around_disc(mask: Mask) -> Box | None:
    """Return the square, which may reach beyond the mask's array; None where nothing is marked."""
    if not mask.any():
        return None
    inside = squared_distance(~np.pad(mask, 1), max(mask.shape))[1:-1, 1:-1]
    widest = float(inside.max())
    rows, columns = np.nonzero(mask)
    places = np.argwhere(inside >= _NEARLY_WIDEST**2 * widest)
    row, column = places[((places - (rows.mean(), columns.mean())) ** 2).sum(axis=1).argmin()]
    reach = round(float(np.sqrt(widest))) - 1
    return int(column) - reach, int(row) - reach, int(column) + reach + 1, int(row) + reach + 1


def _thinned(mask: Mask, step: int) -> Mask:
    """Return a mask at a `step`-th of its size; marked are the cells of which all pixels are."""
    height, width = (side // step for side in mask.shape)
    cells = mask[: height * step, : width * step].reshape(height, step, width, step)
    return np.asarray(cells.all(axis=(1, 3)))
