"""Holes of a mask, filled: what it encloses without a way out to the border.

The unmarked pixels of each row form runs; runs of neighbouring rows that touch belong together. The groups are
found on whole arrays of runs at once, by lowering labels along the links and shortening the paths: the method of
Y. Shiloach and U. Vishkin, "An O(log n) parallel connectivity algorithm" (1982).
"""

import numpy as np
from numpy.typing import NDArray

from retouch.imaging.morphology import Mask, bounding_box

_Index = NDArray[np.int64]


def fill_holes(mask: Mask) -> Mask:
    """Mark every pixel from which no 4-connected path of unmarked pixels leads to the border of the picture.

    A ring that touches itself at corners only is closed; one that is open at the border of the picture is not.
    """
    box = bounding_box(mask)
    if box is None:
        return mask.copy()
    left, top, right, bottom = box
    filled = mask.copy()
    # One more pixel around, unmarked: whatever reaches it has left the mask's own box.
    framed = np.pad(mask[top:bottom, left:right], 1)
    inside = _filled(framed)[1:-1, 1:-1]
    filled[top:bottom, left:right] = inside
    return filled


def _filled(framed: Mask) -> Mask:
    """Fill a mask whose outermost pixels are all unmarked."""
    width = framed.shape[1]
    # One marked column at the end of each row keeps the runs of the flat array within their rows.
    free = np.pad(~framed, ((0, 0), (0, 1))).ravel().view(np.int8)
    steps = np.diff(free, prepend=np.int8(0))
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    upper, lower = _touching(starts, ends, width + 1)
    group = _groups(len(starts), upper, lower)
    enclosed = group != group[0]
    change = np.zeros(free.size + 1, np.int8)
    change[starts[enclosed]] = 1
    change[ends[enclosed]] = -1
    holes = np.cumsum(change[:-1], dtype=np.int8).astype(bool).reshape(len(framed), width + 1)
    filled: Mask = framed | holes[:, :width]
    return filled


def _touching(starts: _Index, ends: _Index, stride: int) -> tuple[_Index, _Index]:
    """Return the pairs of runs (upper, lower) that share a column in neighbouring rows."""
    # Moved up by a row, a lower run overlaps the upper ones from the first that ends behind its start
    # to the last that begins before its end.
    first = np.searchsorted(ends, starts - stride, side="right")
    last = np.searchsorted(starts, ends - stride, side="left")
    counts = np.maximum(last - first, 0)
    lower = np.repeat(np.arange(len(starts)), counts)
    offset = np.arange(len(lower)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(first, counts) + offset, lower


def _groups(count: int, upper: _Index, lower: _Index) -> _Index:
    """Return, for each of `count` nodes, the smallest node that the links connect it with."""
    label = np.arange(count)
    while True:
        one, other = label[upper], label[lower]
        apart = one != other
        if not apart.any():
            return label
        upper, lower = upper[apart], lower[apart]
        one, other = one[apart], other[apart]
        np.minimum.at(label, np.maximum(one, other), np.minimum(one, other))
        while True:
            shorter = label[label]
            if np.array_equal(shorter, label):
                break
            label = shorter
