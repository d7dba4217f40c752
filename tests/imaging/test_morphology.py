"""Masks grow round and exactly, and open like a square brush."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from retouch.imaging.morphology import bounding_box, crop, grow, opened, widen

MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12))


def _grown_slowly(mask: np.ndarray, radius: int) -> np.ndarray:
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
    grown = np.zeros_like(mask)
    for row, column in zip(*np.nonzero(mask), strict=True):
        grown |= (y - row) ** 2 + (x - column) ** 2 <= radius**2
    return grown


@settings(max_examples=1000)
@given(MASKS, st.integers(0, 9))
def test_growing_marks_exactly_what_is_within_the_radius(mask: np.ndarray, radius: int) -> None:
    assert np.array_equal(grow(mask, radius), _grown_slowly(mask, radius))


@settings(max_examples=1000)
@given(MASKS, st.integers(1, 6))
def test_opening_keeps_what_a_square_fits_into(mask: np.ndarray, side: int) -> None:
    padded = np.pad(mask, side - 1, mode="edge")
    kept = np.zeros_like(padded)
    for row in range(padded.shape[0] - side + 1):
        for column in range(padded.shape[1] - side + 1):
            if padded[row : row + side, column : column + side].all():
                kept[row : row + side, column : column + side] = True
    inner = slice(side - 1, -(side - 1) or None)
    assert np.array_equal(opened(mask, side), kept[inner, inner])


@given(MASKS)
def test_the_box_is_the_smallest_that_holds_the_mask(mask: np.ndarray) -> None:
    box = bounding_box(mask)
    if box is None:
        assert not mask.any()
        return
    inside = crop(mask, box)
    assert inside.sum() == mask.sum()
    assert all(edge.any() for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))


def test_a_wider_box_stays_inside_the_picture() -> None:
    assert widen((5, 5, 8, 9), 3, 20, 20) == (2, 2, 11, 12)
    assert widen((5, 5, 8, 9), 30, 10, 12) == (0, 0, 12, 10)


def test_growing_does_not_change_its_argument() -> None:
    mask = np.eye(5, dtype=bool)
    for radius in (0, 2):
        grow(mask, radius)[:] = True
    assert np.array_equal(mask, np.eye(5, dtype=bool))
