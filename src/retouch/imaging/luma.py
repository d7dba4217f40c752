"""Luma: how light a colour is (ITU-R BT.601)."""

import numpy as np

from retouch.imaging.bands import in_bands
from retouch.imaging.picture import Samples

LUMA_WEIGHTS = (0.299, 0.587, 0.114)
"""Shares of red, green and blue."""


def luminance(pixels: Samples) -> Samples:
    """Return the luma (H, W) of grey or RGB samples, at their depth.

    Source: ITU-R BT.601 in fixed point of 16 bits, with the rounding of Pillow's conversion to `L`, so that a
    threshold falls on the same pixels as in programs that use it.
    """
    return pixels if pixels.ndim == 2 else in_bands(_luma, pixels)


def _luma(pixels: Samples) -> Samples:
    red, green, blue = (pixels[..., channel].astype(np.uint32) for channel in range(3))
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).astype(pixels.dtype)
