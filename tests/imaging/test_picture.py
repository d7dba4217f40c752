"""A picture knows its size, its peak and its float copy."""

import numpy as np
import pytest

from retouch.imaging.picture import Picture


def test_grey_is_spread_over_three_channels_for_the_model() -> None:
    unit = Picture(np.array([[0, 65535]], np.uint16)).to_unit()
    assert unit.dtype == np.float32
    assert np.array_equal(unit, [[[0, 0, 0], [1, 1, 1]]])


def test_size_and_peak_are_those_of_the_samples() -> None:
    picture = Picture(np.zeros((3, 5, 3), np.uint16))
    assert (picture.height, picture.width, picture.peak) == (3, 5, 65535)


def test_other_pixels_keep_everything_else() -> None:
    picture = Picture(
        np.zeros((2, 2, 3), np.uint8), np.ones((2, 2), np.uint8), b"icc", b"exif", "P", "PNG", ("w",)
    )
    changed = picture.with_pixels(np.ones((2, 2, 3), np.uint8))
    assert changed.pixels.max() == 1
    assert (changed.icc, changed.exif, changed.source_mode, changed.warnings) == (b"icc", b"exif", "P", ("w",))
    assert changed.alpha is picture.alpha


def test_alpha_of_another_depth_breaks_our_own_invariant() -> None:
    with pytest.raises(AssertionError):
        Picture(np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.uint16))
