"""Luma is that of programs that use Pillow."""

import numpy as np
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp
from PIL import Image

from retouch.imaging.luma import luminance


@settings(max_examples=300)
@given(hnp.arrays(np.uint8, (3, 4, 3)))
def test_luminance_is_that_of_pillow(samples: np.ndarray) -> None:
    assert np.array_equal(luminance(samples), Image.fromarray(samples).convert("L"))


def test_luminance_of_16_bits_does_not_overflow() -> None:
    white = np.full((1, 1, 3), 65535, np.uint16)
    assert luminance(white)[0, 0] == 65535
