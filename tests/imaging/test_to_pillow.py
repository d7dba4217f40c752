"""Pictures become Pillow images of 8 bits."""

import numpy as np
import pytest

from retouch.imaging.picture import Picture
from retouch.imaging.to_pillow import to_8_bits, to_pillow


@pytest.mark.parametrize(
    ("shape", "has_alpha", "mode"),
    [((2, 3), False, "L"), ((2, 3), True, "LA"), ((2, 3, 3), False, "RGB"), ((2, 3, 3), True, "RGBA")],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_mode_follows_the_picture(shape: tuple, has_alpha: bool, mode: str, dtype: type) -> None:
    peak = np.iinfo(dtype).max
    alpha = np.full(shape[:2], peak, dtype) if has_alpha else None
    image = to_pillow(Picture(np.full(shape, peak, dtype), alpha, icc=b"profile"))
    assert image.mode == mode
    assert np.asarray(image).min() == 255
    assert image.info["icc_profile"] == b"profile"


def test_16_bits_are_rounded_to_the_nearest_of_8() -> None:
    levels = np.arange(65536, dtype=np.uint16)
    assert np.array_equal(to_8_bits(levels), np.rint(levels / 257).astype(np.uint8))
