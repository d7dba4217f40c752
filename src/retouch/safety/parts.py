"""The boxes of what was repainted: small ones, so that nothing is lost in a large one."""

import math

import numpy as np
from numpy.typing import NDArray

from retouch.imaging.morphology import Box, Mask, bounding_box, crop

MAX_PARTS = 16
_DENSE = 1 / 3
_SMALLEST_SHARE = 1 / 16
_MAX_CELLS = 512


def parts_of(repainted: Mask) -> list[Box]:
    """Return boxes that together hold every repainted pixel, each filled well or small, from top to bottom.

    A single box around everything would be as large as the picture where a speck lies in a far corner, a line
    leads there, or the mask is a ring. So a box is cut in two while the mask fills less than a third of the square
    around it, until each is small or there are `MAX_PARTS`. What is made small is the sum over all repainted
    pixels of the area that each is seen in: always the box that has most of it is cut, where least of it remains
    (as the surface area heuristic cuts bounding volumes: J. Goldsmith, J. Salmon, 1987).

    Args:
        repainted: (H, W), True = repainted.
    """
    whole = bounding_box(repainted)
    if whole is None:
        return []
    cell_px = math.ceil(max(repainted.shape) / _MAX_CELLS)
    cells = _any_in_cells(crop(repainted, whole), cell_px)
    smallest = max(1, round(_SMALLEST_SHARE * max(repainted.shape) / cell_px))
    parts = [_Part(cells, (0, 0, cells.shape[1], cells.shape[0]))]
    while len(parts) < MAX_PARTS:
        loose = [part for part in parts if part.side > smallest and part.count < _DENSE * part.side**2]
        if not loose:
            break
        worst = max(loose, key=lambda part: part.count * part.side**2)
        parts.remove(worst)
        parts += [_Part(cells, half) for half in worst.halves()]
    return sorted((_in_pixels(repainted, part.box, whole, cell_px) for part in parts), key=lambda box: box[1::-1])


class _Part:
    """The marked cells in a box, which is made tight."""

    def __init__(self, cells: Mask, box: Box) -> None:
        self.box = left, top, right, bottom = _tight(cells, box)
        self.marked = crop(cells, self.box)
        self.count = int(self.marked.sum())
        self.side = max(right - left, bottom - top)

    def halves(self) -> tuple[Box, Box]:
        """Cut it, where it has more than one cell a side, at the best column or row."""
        left, top, right, bottom = self.box
        across, across_cost = _best_cut(self.marked)
        down, down_cost = _best_cut(self.marked.T)
        if across_cost <= down_cost:
            return (left, top, left + across, bottom), (left + across, top, right, bottom)
        return (left, top, right, top + down), (left, top + down, right, bottom)


def _best_cut(marked: Mask) -> tuple[int, float]:
    """Return the column to cut at, of those nearest to the middle, and the cost of both sides."""
    width = marked.shape[1]
    if width < 2:
        return 0, math.inf
    cost = _costs(marked)[:-1] + _costs(marked[:, ::-1])[-2::-1]
    cuts = 1 + np.flatnonzero(cost == cost.min())
    return int(cuts[np.abs(2 * cuts - width).argmin()]), float(cost.min())


def _costs(marked: Mask) -> NDArray[np.int64]:
    """Return for each column the number of cells marked up to it, times the squared half perimeter of their box.

    Neither its area, which a long box cut along its length would halve, nor its longer side, which a first cut
    often leaves as it is.
    """
    height, width = marked.shape
    is_marked = marked.any(axis=0)
    top = np.minimum.accumulate(np.where(is_marked, marked.argmax(axis=0), height))
    bottom = np.maximum.accumulate(np.where(is_marked, height - marked[::-1].argmax(axis=0), 0))
    right = np.maximum.accumulate(np.where(is_marked, np.arange(1, width + 1), 0))
    costs: NDArray[np.int64] = marked.sum(axis=0).cumsum() * (np.maximum(bottom - top, 0) + right) ** 2
    return costs


def _any_in_cells(mask: Mask, cell_px: int) -> Mask:
    height, width = (math.ceil(side / cell_px) for side in mask.shape)
    padded = np.pad(mask, [(0, height * cell_px - mask.shape[0]), (0, width * cell_px - mask.shape[1])])
    # Rows first: that way the array that is read in strides is small.
    rows = np.any(padded.reshape(height, cell_px, width * cell_px), axis=1)
    cells: Mask = np.any(rows.reshape(height, width, cell_px), axis=2)
    return cells


def _in_pixels(repainted: Mask, part: Box, whole: Box, cell_px: int) -> Box:
    left, top, right, bottom = whole
    box = (left + part[0] * cell_px, top + part[1] * cell_px, left + part[2] * cell_px, top + part[3] * cell_px)
    return _tight(repainted, (box[0], box[1], min(box[2], right), min(box[3], bottom)))


def _tight(mask: Mask, box: Box) -> Box:
    inner = bounding_box(crop(mask, box))
    assert inner is not None
    left, top = box[:2]
    return left + inner[0], top + inner[1], left + inner[2], top + inner[3]
