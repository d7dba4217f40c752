"""Transparency laid on a plain ground, at the 8 bits that people see."""

import numpy as np

from retouch.imaging.bands import in_bands
from retouch.imaging.picture import Picture, Samples
from retouch.imaging.to_pillow import to_8_bits


def laid_on(picture: Picture, ground: int) -> Samples:
    """Return the picture's colours on a grey ground: (H, W, 3) or (H, W) uint8.

    Args:
        ground: 0 = black, ..., 255 = white.
    """
    if picture.alpha is None:
        return to_8_bits(picture.pixels)

    def lay(pixels: Samples, alpha: Samples) -> Samples:
        colours, opacity = to_8_bits(pixels).astype(np.uint32), to_8_bits(alpha).astype(np.uint32)
        opacity = opacity[..., None] if colours.ndim == 3 else opacity
        return ((colours * opacity + ground * (255 - opacity) + 127) // 255).astype(np.uint8)

    return in_bands(lay, picture.pixels, picture.alpha)
