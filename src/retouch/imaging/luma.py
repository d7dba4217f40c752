"""Luma: how light a colour is (ITU-R BT.601)."""

import numpy as np

from retouch.imaging.picture import Samples

LUMA_WEIGHTS = (0.299, 0.587, 0.114)
"""Shares of red, green and blue."""
_BLOCK_ROWS = 64


def luminance(pixels: Samples) -> Samples:
    """Return the luma (H, W) of grey or RGB samples, at their depth.

    Source: ITU-R BT.601 in fixed point of 16 bits, with the rounding of Pillow's conversion to `L`, so that a
    threshold falls on the same pixels as in programs that use it.
    """
    if pixels.ndim == 2:
        return pixels
    light = np.empty(pixels.shape[:2], pixels.dtype)
    # In blocks of rows: the wide sums of a whole photograph would take four times its own memory.
    for top in range(0, len(pixels), _BLOCK_ROWS):
        rows = pixels[top : top + _BLOCK_ROWS]
        red, green, blue = (rows[..., channel].astype(np.uint32) for channel in range(3))
        light[top : top + _BLOCK_ROWS] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16
    return light
