"""Resizing neither rings out of range nor loses a stroke."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from retouch.imaging.resample import cover_resize, mirrored, resize


@settings(max_examples=1000)
@given(
    hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14)),
    st.integers(1, 30),
    st.integers(1, 30),
)
def test_a_pixel_is_marked_exactly_if_it_touches_a_marked_one(mask: np.ndarray, height: int, width: int) -> None:
    resized = cover_resize(mask, height, width)
    assert resized.shape == (height, width)
    for row in range(height):
        top, bottom = row * mask.shape[0] // height, -(-(row + 1) * mask.shape[0] // height)
        for column in range(width):
            left, right = column * mask.shape[1] // width, -(-(column + 1) * mask.shape[1] // width)
            assert resized[row, column] == mask[top:bottom, left:right].any()


def test_resized_pictures_stay_in_range_and_flat_ones_stay_flat() -> None:
    hard = np.zeros((40, 40, 3), np.float32)
    hard[:, 20:] = 1
    for size in ((13, 17), (40, 93), (1, 1)):
        resized = resize(hard, *size)
        assert resized.shape == (*size, 3)
        assert resized.min() >= 0
        assert resized.max() <= 1
        assert np.allclose(resize(np.full((40, 30, 3), 0.25, np.float32), *size), 0.25, atol=1e-6)


def test_the_same_size_is_the_same_picture() -> None:
    pixels = np.random.default_rng(0).random((5, 6, 3), dtype=np.float32)
    assert np.array_equal(resize(pixels, 5, 6), pixels)


@given(st.integers(1, 12), st.integers(1, 60), st.integers(0, 30))
def test_mirrored_indices_go_to_and_fro(size: int, wanted: int, before: int) -> None:
    places = mirrored(size, wanted, before=before)
    assert len(places) == wanted
    assert np.array_equal(places[before : before + size], np.arange(size)[: max(0, wanted - before)])
    assert places.min() >= 0
    assert places.max() < size
    assert size == 1 or (np.abs(np.diff(places)) == 1).all()
