"""Feathering goes inwards only."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from retouch.imaging.feather import feather_warnings, feather_weights


@settings(max_examples=1000)
@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=16)), st.integers(0, 9))
def test_weights_are_0_exactly_on_kept_pixels_and_within_0_and_1(mask: np.ndarray, feather: int) -> None:
    weights = feather_weights(mask, feather)
    assert weights.dtype == np.float32
    assert np.array_equal(weights > 0, mask)
    assert weights.max() <= 1


def test_weights_rise_inwards_without_jumps_and_reach_1() -> None:
    mask = np.zeros((1, 60), bool)
    mask[0, 10:50] = True
    weights = feather_weights(mask, 8)[0]
    rise = weights[9:19]
    assert rise[0] == 0
    assert (np.diff(rise) > 0).all()
    assert np.diff(rise).max() < 0.2
    assert (weights[18:42] == 1).all()
    assert np.array_equal(weights, weights[::-1])


def test_the_border_of_the_picture_is_no_edge() -> None:
    mask = np.zeros((20, 20), bool)
    mask[:, :10] = True
    weights = feather_weights(mask, 4)
    assert (weights[:, :5] == 1).all()
    assert (feather_weights(np.ones((5, 5), bool), 4) == 1).all()


def test_no_feather_is_the_mask_itself() -> None:
    mask = np.eye(6, dtype=bool)
    assert np.array_equal(feather_weights(mask, 0), mask)


def test_a_wide_feather_is_as_exact_as_a_narrow_one() -> None:
    mask = np.zeros((3, 400), bool)
    mask[:, 100:300] = True
    weights = feather_weights(mask, 90)
    steps = np.minimum(np.minimum(np.arange(400) - 99, 300 - np.arange(400)).clip(0) / 91, 1)
    assert np.allclose(weights[1], steps**2 * (3 - 2 * steps), atol=1e-6)


def test_a_stroke_thinner_than_the_feather_is_told_beside_a_part_that_is_not() -> None:
    mask = np.zeros((80, 80), bool)
    mask[40:70, 40:70] = True
    assert feather_warnings(feather_weights(mask, 8), 8) == ()
    mask[10:13, 10:70] = True
    (warning,) = feather_warnings(feather_weights(mask, 8), 8)
    assert warning.startswith("180 repainted pixels (17%)")
    assert "13% of the fill" in warning
    assert feather_warnings(feather_weights(mask, 1), 1) == ()
    assert feather_warnings(feather_weights(mask, 0), 0) == ()


@settings(max_examples=50)
@given(st.integers(1, 9), st.integers(4, 12))
def test_corners_and_round_parts_are_no_thin_parts(feather: int, more: int) -> None:
    side = 2 * (feather + 1) + more
    y, x = np.mgrid[: side + 4, : side + 4] - (side + 3) / 2
    for mask in (np.maximum(abs(y), abs(x)) < side / 2, y * y + x * x < side * side / 4):
        assert feather_warnings(feather_weights(mask, feather), feather) == ()
