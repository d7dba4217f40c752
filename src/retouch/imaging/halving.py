"""Planes of numbers at half and at twice their size, along either of their last two axes."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
_Scalar = TypeVar("_Scalar", bound=np.generic)


def summed(cells: NDArray[_Scalar], axes: tuple[int, ...] = (-2, -1)) -> NDArray[_Scalar]:
    """Add up (of booleans, combine) pairs of neighbours along axes; the last one of an odd length stands alone."""
    for axis in axes:
        pairs = sliced(cells, slice(0, None, 2), axis).copy()
        behind = sliced(cells, slice(1, None, 2), axis)
        first = sliced(pairs, slice(0, behind.shape[axis]), axis)
        np.add(first, behind, out=first)
        cells = pairs
    return cells


def behind(cells: F32, axis: int) -> F32:
    """Return every second cell of an axis, the latter of its pair; 0 for the last one where the length is odd."""
    return summed(cells, axes=(axis,)) - sliced(cells, slice(0, None, 2), axis)


def box_sum(cells: F32) -> F32:
    """Add up the 3 x 3 cells around each one."""
    for axis in (-2, -1):
        summed = cells.copy()
        (first, last), (behind, before) = apart(summed, 1, axis), apart(cells, 1, axis)[::-1]
        first += behind
        last += before
        cells = summed
    return cells


def doubled(cells: F32, axis: int) -> F32:
    """Double an axis by linear interpolation; beyond its ends the last cell goes on."""
    shape = list(cells.shape)
    shape[axis] *= 2
    result = np.empty(shape, np.float32)
    left, right = sliced(result, slice(0, None, 2), axis), sliced(result, slice(1, None, 2), axis)
    # c + (neighbour - c) / 4, which is c, bit for bit, where all are the same
    first, last = apart(cells, 1, axis)
    quarter = (last - first) * np.float32(0.25)
    left[...] = cells
    right[...] = cells
    apart(left, 1, axis)[1][...] -= quarter
    apart(right, 1, axis)[0][...] += quarter
    return result


def apart(cells: NDArray[_Scalar], step: int, axis: int) -> tuple[NDArray[_Scalar], NDArray[_Scalar]]:
    """Return the views of all cells that have one `step` further on, and of those: pairs along an axis."""
    length = max(0, cells.shape[axis] - step)
    return sliced(cells, slice(0, length), axis), sliced(cells, slice(cells.shape[axis] - length, None), axis)


def sliced(cells: NDArray[_Scalar], part: slice, axis: int) -> NDArray[_Scalar]:
    """Return the view of a part of one of the last two axes."""
    return cells[..., part] if axis == -1 else cells[..., part, :]
