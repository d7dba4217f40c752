"""Arrays become pictures only where there is no doubt about their axes and range."""

import numpy as np
import pytest

from retouch.errors import ImageError
from retouch.imaging.arrays import picture_of_array

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 4)])
def test_samples_are_taken_as_they_are(dtype: type, shape: tuple) -> None:
    samples = RNG.integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)
    picture = picture_of_array(samples)
    assert picture.pixels.dtype == dtype
    assert np.array_equal(picture.pixels, samples[..., :3] if shape[2:] in ((3,), (4,)) else samples.reshape(5, 7))
    assert (picture.alpha is not None) == (shape[2:] == (4,))


def test_the_picture_does_not_change_with_the_array() -> None:
    samples = np.zeros((4, 4, 3), np.uint8)
    picture = picture_of_array(samples)
    samples[:] = 9
    assert picture.pixels.max() == 0


def test_floats_are_rounded_to_8_bits() -> None:
    picture = picture_of_array(np.array([[0.0, 0.5, 1.0, 0.001]]))
    assert np.array_equal(picture.pixels, [[0, 128, 255, 0]])


def test_booleans_are_black_and_white() -> None:
    assert np.array_equal(picture_of_array(np.array([[True, False]])).pixels, [[255, 0]])


def test_foreign_byte_order_is_turned() -> None:
    samples = np.array([[1, 256]], dtype=">u2")
    assert np.array_equal(picture_of_array(samples).pixels, [[1, 256]])


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(4),
        np.zeros((3, 5, 7), np.uint8),
        np.zeros((1, 5, 7, 3), np.uint8),
        np.zeros((5, 7, 2), np.uint8),
        np.zeros((5, 7), np.int64),
        np.zeros((5, 7), np.complex64),
        np.full((5, 7), np.nan),
        np.full((5, 7), np.inf),
        np.full((5, 7), 1.5),
        np.full((5, 7), -0.1),
        np.array([["a"]]),
        np.zeros((), np.uint8),
    ],
)
def test_arrays_that_are_in_doubt_are_refused_with_a_hint(array: np.ndarray) -> None:
    with pytest.raises(ImageError) as caught:
        picture_of_array(array)
    assert caught.value.hint
