"""A `Picture` as a Pillow image of 8 bits, for those who go on in Python."""

import numpy as np
from PIL import Image

from retouch.imaging.bands import in_bands
from retouch.imaging.picture import Picture, Samples


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
    return in_bands(lambda rows: ((rows.astype(np.uint32) + 128) // 257).astype(np.uint8), samples)


def laid_on_white(picture: Picture) -> Samples:
    """Return the colours, (H, W) or (H, W, 3) of uint8, as they are seen on white paper."""
    if picture.alpha is None:
        return to_8_bits(picture.pixels)
    return in_bands(_on_white, picture.pixels, picture.alpha)


def _on_white(pixels: Samples, alpha: Samples) -> Samples:
    colours, weight = to_8_bits(pixels).astype(np.uint32), to_8_bits(alpha).astype(np.uint32)
    weight = weight[..., None] if colours.ndim == 3 else weight
    return ((colours * weight + 255 * (255 - weight) + 127) // 255).astype(np.uint8)
