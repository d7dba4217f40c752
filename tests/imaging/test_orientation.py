"""Orientation is applied to the samples."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from retouch.imaging.orientation import turn


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 3)])
def test_samples_are_turned_as_pillow_turns_them(orientation: int, shape: tuple) -> None:
    samples = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    image = Image.fromarray(samples)
    image.getexif()[0x0112] = orientation
    assert np.array_equal(turn(samples, orientation), ImageOps.exif_transpose(image))
