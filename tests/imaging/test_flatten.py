"""Transparency is laid on a ground exactly, at every depth."""

import numpy as np
import pytest

from retouch.imaging.flatten import laid_on
from retouch.imaging.picture import Picture
from retouch.imaging.to_pillow import to_8_bits

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("ground", [0, 90, 255])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_every_pixel_is_the_mean_that_its_alpha_says(ground: int, channels: tuple[int, ...]) -> None:
    picture = Picture(
        RNG.integers(0, 256, (700, 9, *channels)).astype(np.uint8),
        alpha=RNG.integers(0, 256, (700, 9)).astype(np.uint8),
    )
    assert picture.alpha is not None
    alpha = picture.alpha.reshape(700, 9, *(1 for _ in channels)) / 255
    laid = laid_on(picture, ground)
    assert laid.dtype == np.uint8
    assert np.abs(laid - (picture.pixels * alpha + ground * (1 - alpha))).max() <= 0.5


def test_an_opaque_picture_is_its_colours() -> None:
    deep = Picture(RNG.integers(0, 65536, (600, 4, 3)).astype(np.uint16))
    assert (laid_on(deep, 0) == to_8_bits(deep.pixels)).all()


def test_a_transparent_picture_is_the_ground() -> None:
    empty = Picture(np.full((3, 3, 3), 65535, np.uint16), alpha=np.zeros((3, 3), np.uint16))
    assert (laid_on(empty, 7) == 7).all()
