"""The distance transform equals a search over all pairs."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from retouch.imaging.distance import _column_distance, _envelope_rows, squared_distance

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14)
MASKS = hnp.arrays(bool, SHAPES).filter(lambda mask: mask.any())


def _slow(marked: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(marked)
    y, x = np.mgrid[: marked.shape[0], : marked.shape[1]]
    return ((y[..., None] - rows) ** 2 + (x[..., None] - columns) ** 2).min(axis=-1)


@settings(max_examples=1000)
@given(MASKS, st.integers(1, 20))
def test_distances_up_to_the_limit_are_exact_and_others_stay_above_it(marked: np.ndarray, limit: int) -> None:
    found, true = squared_distance(marked, limit), _slow(marked)
    near = true <= limit**2
    assert np.array_equal(found[near], true[near])
    assert (found[~near] > limit**2).all()


@settings(max_examples=1000)
@given(MASKS, st.integers(1, 30))
def test_the_envelope_and_the_search_agree(marked: np.ndarray, limit: int) -> None:
    found, true = _envelope_rows(_column_distance(marked, limit + 1)), _slow(marked)
    near = true <= limit**2
    assert np.array_equal(found[near], true[near])
    assert (found[~near] > limit**2).all()


def test_long_distances_are_exact_too() -> None:
    marked = np.zeros((40, 700), bool)
    marked[3, 5] = marked[39, 650] = True
    assert np.array_equal(squared_distance(marked, 1000), _slow(marked))


def test_nothing_marked_is_farther_than_the_limit() -> None:
    assert (squared_distance(np.zeros((5, 6), bool), 3) > 9).all()
