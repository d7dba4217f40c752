import io

import numpy as np
import pytest
from PIL import Image

from retouch.data.pixels import mask_pixels, rgb_pixels
from retouch.errors import ImageError, ImageTooLarge
from retouch.imaging.decode import decode_picture
from retouch.imaging.limits import DecodeLimits
from retouch.imaging.mask import MaskOptions, prepare_mask


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


@pytest.mark.parametrize("clear", [(255, 255, 255, 0), (0, 0, 0, 0)])
def test_strokes_on_a_clear_canvas_are_the_mask_as_in_inpainting(clear):
    mask = Image.new("RGBA", (20, 10), clear)
    mask.paste((255, 255, 255, 255), (4, 2, 16, 8))
    data = encoded(mask)
    options = MaskOptions("white", threshold=0.5, grow_px=0, fill_holes=False)
    inpainted = prepare_mask(decode_picture(data), height=10, width=20, options=options).pixels
    assert mask_pixels(data).sum() == 12 * 6
    assert np.array_equal(mask_pixels(data), inpainted)


def test_broken_and_oversized_pictures_are_errors():
    with pytest.raises(ImageError):
        rgb_pixels(b"nothing")
    with pytest.raises(ImageTooLarge):
        rgb_pixels(encoded(Image.new("L", (50, 50))), DecodeLimits(image_pixels=100))
