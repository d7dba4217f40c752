"""Exact squared Euclidean distance to the nearest marked pixel, in time linear in the number of pixels.

First along the columns, then along the rows as a lower envelope of parabolas. Source: A. Meijster et al., "A
general algorithm for computing distance transforms in linear time" (2000), and P. Felzenszwalb, D. Huttenlocher,
"Distance transforms of sampled functions" (2012), section 2. Where only short distances matter, the rows are
searched directly instead, which is faster for a few dozen pixels.
"""

import numpy as np
from numpy.typing import NDArray

_SEARCH_LIMIT = 64
_BLOCK_SAMPLES = 1 << 16
"""Samples of one block of rows in the direct search: small enough to stay in a core's cache."""


def squared_distance(marked: NDArray[np.bool_], limit_px: int) -> NDArray[np.int32]:
    """Return the squared distance, in pixels, from each pixel's centre to the nearest marked one's.

    Args:
        marked: (H, W).
        limit_px: distances above it need not be told apart.
    Returns:
        (H, W); exact up to `limit_px`, and above `limit_px ** 2` beyond it. 0 on marked pixels.
    """
    height, width = marked.shape
    limit_px = max(1, min(limit_px, height + width))
    columns = _column_distance(marked, limit_px + 1)
    if limit_px <= _SEARCH_LIMIT:
        return _search_rows(columns, limit_px)
    return _envelope_rows(columns)


def _column_distance(marked: NDArray[np.bool_], cap: int) -> NDArray[np.int32]:
    """Return the distance to the nearest marked pixel of the same column, at most `cap`."""
    distance = np.where(marked, 0, cap).astype(np.int32)
    for y in range(1, len(distance)):
        np.minimum(distance[y], distance[y - 1] + 1, out=distance[y])
    for y in range(len(distance) - 2, -1, -1):
        np.minimum(distance[y], distance[y + 1] + 1, out=distance[y])
    return distance


def _search_rows(columns: NDArray[np.int32], limit_px: int) -> NDArray[np.int32]:
    """Take the minimum of `columns[x + d] ** 2 + d ** 2` over |d| up to the limit, a block of rows at a time."""
    squares = columns * columns
    best = squares.copy()
    rows = max(1, _BLOCK_SAMPLES // columns.shape[1])
    for top in range(0, len(columns), rows):
        source, target = squares[top : top + rows], best[top : top + rows]
        for d in range(1, min(limit_px, columns.shape[1] - 1) + 1):
            if d * d >= target.max():
                break
            np.minimum(target[:, d:], source[:, :-d] + d * d, out=target[:, d:])
            np.minimum(target[:, :-d], source[:, d:] + d * d, out=target[:, :-d])
    return best


def _envelope_rows(columns: NDArray[np.int32]) -> NDArray[np.int32]:
    """Take the same minimum over whole rows, all rows in step: one parabola enters each row's envelope at a time.

    Everything is transposed, (W, H), so that one step reads and writes contiguous samples.
    """
    width, height = columns.shape[1], columns.shape[0]
    row = np.arange(height)
    raised = columns.T.astype(np.float64) ** 2
    raised += np.arange(width, dtype=np.float64)[:, None] ** 2
    apex = np.zeros((width, height), np.int32)
    border = np.full((width + 1, height), np.inf)
    border[0] = -np.inf
    last = np.zeros(height, np.int64)
    for x in range(1, width):
        crossing = (raised[x] - raised[apex[last, row], row]) / (2 * (x - apex[last, row]))
        behind = np.flatnonzero(crossing <= border[last, row])
        while behind.size:
            last[behind] -= 1
            other = apex[last[behind], behind]
            crossing[behind] = (raised[x, behind] - raised[other, behind]) / (2 * (x - other))
            behind = behind[crossing[behind] <= border[last[behind], behind]]
        last += 1
        apex[last, row] = x
        border[last, row] = crossing
        border[last + 1, row] = np.inf
    return _read_envelope(columns, apex, border)


def _read_envelope(
    columns: NDArray[np.int32], apex: NDArray[np.int32], border: NDArray[np.float64]
) -> NDArray[np.int32]:
    """Look up, for each pixel, the parabola that is lowest there."""
    height, width = columns.shape
    row = np.arange(height)
    squared = np.empty((width, height), np.int32)
    current = np.zeros(height, np.int64)
    for x in range(width):
        ahead = np.flatnonzero(border[current + 1, row] < x)
        while ahead.size:
            current[ahead] += 1
            ahead = ahead[border[current[ahead] + 1, ahead] < x]
        nearest = apex[current, row]
        squared[x] = columns[row, nearest] ** 2 + (x - nearest) ** 2
    return np.ascontiguousarray(squared.T)
