"""Holes are what a flood from the border does not reach."""

import numpy as np
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from retouch.imaging.holes import fill_holes


def _filled_slowly(mask: np.ndarray) -> np.ndarray:
    framed = np.pad(mask, 1)
    outside = np.zeros_like(framed)
    open_ends = [(0, 0)]
    while open_ends:
        y, x = open_ends.pop()
        if 0 <= y < framed.shape[0] and 0 <= x < framed.shape[1] and not framed[y, x] and not outside[y, x]:
            outside[y, x] = True
            open_ends += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
    return ~outside[1:-1, 1:-1]


@settings(max_examples=1000)
@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)))
def test_filling_equals_a_flood_from_outside(mask: np.ndarray) -> None:
    assert np.array_equal(fill_holes(mask), _filled_slowly(mask))


def test_a_spiral_is_open_and_a_ring_is_not() -> None:
    ring = np.ones((9, 9), bool)
    ring[1:-1, 1:-1] = False
    assert fill_holes(ring).all()
    ring[4, 8] = False
    assert np.array_equal(fill_holes(ring), ring)


def test_a_ring_that_touches_at_corners_is_closed() -> None:
    diamond = np.zeros((5, 5), bool)
    diamond[[0, 1, 1, 2, 2, 3, 3, 4], [2, 1, 3, 0, 4, 1, 3, 2]] = True
    assert fill_holes(diamond)[2, 2]


def test_an_empty_mask_stays_empty() -> None:
    assert not fill_holes(np.zeros((4, 4), bool)).any()
