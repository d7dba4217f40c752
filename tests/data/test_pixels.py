import io

import numpy as np
import pytest
from PIL import Image

from retouch.data.pixels import mask_pixels, rgb_pixels
from retouch.errors import ImageError, ImageTooLarge
from retouch.imaging.limits import DecodeLimits


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def test_grey_pictures_get_three_channels():
    assert rgb_pixels(encoded(Image.new("L", (5, 4), 77))).tolist() == [[[77] * 3] * 5] * 4


def test_transparency_is_laid_over_white():
    half = rgb_pixels(encoded(Image.new("RGBA", (1, 1), (0, 0, 0, 128))))
    assert abs(int(half[0, 0, 0]) - 127) <= 1
    assert (rgb_pixels(encoded(Image.new("RGBA", (1, 1), (9, 9, 9, 0)))) == 255).all()


def test_masks_are_true_where_at_least_half_white():
    grey = np.array([[0, 127, 128, 255]], dtype=np.uint8)
    assert mask_pixels(encoded(Image.fromarray(grey))).tolist() == [[False, False, True, True]]


def test_broken_and_oversized_pictures_are_errors():
    with pytest.raises(ImageError):
        rgb_pixels(b"nothing")
    with pytest.raises(ImageTooLarge):
        rgb_pixels(encoded(Image.new("L", (50, 50))), DecodeLimits(image_pixels=100))
