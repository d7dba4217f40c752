"""A `Picture` as a Pillow image of 8 bits, for those who go on in Python."""

import numpy as np
from PIL import Image

from retouch.imaging.picture import Picture, Samples

_BLOCK_ROWS = 256


def to_pillow(picture: Picture) -> Image.Image:
    """Return an image of mode L, LA, RGB or RGBA with the profile in its `info`; 16 bits are rounded to 8."""
    colours = to_8_bits(picture.pixels)
    if picture.alpha is not None:
        colours = np.dstack((colours, to_8_bits(picture.alpha)))
    image = Image.fromarray(colours)
    if picture.icc:
        image.info["icc_profile"] = picture.icc
    return image


def to_8_bits(samples: Samples) -> Samples:
    """Return the samples as uint8: 65535 becomes 255, with correct rounding."""
    if samples.dtype == np.uint8:
        return samples
    eight = np.empty(samples.shape, np.uint8)
    for top in range(0, len(samples), _BLOCK_ROWS):  # the sums are four times as wide as the result
        rows = slice(top, top + _BLOCK_ROWS)
        eight[rows] = (samples[rows].astype(np.uint32) + 128) // 257
    return eight
