"""Arithmetic over a large picture, a band of rows at a time: what lies between input and result stays small."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BAND_SAMPLES = 2**20


def in_bands(compute: Callable[..., NDArray[Any]], *planes: NDArray[Any]) -> NDArray[Any]:
    """Return `compute(*planes)` where each row of the result depends on the same row of the planes alone.

    Args:
        planes: of one height, at least 1; of any width and channels.
    """
    height = len(planes[0])
    rows = max(1, _BAND_SAMPLES // max(1, planes[0][0].size))
    first = compute(*(plane[:rows] for plane in planes))
    result = np.empty((height, *first.shape[1:]), first.dtype)
    result[:rows] = first
    for top in range(rows, height, rows):
        result[top : top + rows] = compute(*(plane[top : top + rows] for plane in planes))
    return result
