"""Transparency laid on a plain ground, at the 8 bits that people see."""

import numpy as np
from numpy.typing import NDArray

from retouch.imaging.picture import Picture
from retouch.imaging.to_pillow import to_8_bits

_BLOCK_ROWS = 256  # the sums are four times as wide as the picture


def laid_on(picture: Picture, ground: int) -> NDArray[np.uint8]:
    """Return the picture's colours on a grey ground: (H, W, 3) or (H, W) uint8.

    Args:
        ground: 0 = black, ..., 255 = white.
    """
    colours = to_8_bits(picture.pixels).astype(np.uint8, copy=False)
    if picture.alpha is None:
        return colours
    alpha = to_8_bits(picture.alpha)
    flat = np.empty_like(colours)
    for top in range(0, picture.height, _BLOCK_ROWS):
        rows = slice(top, top + _BLOCK_ROWS)
        opacity = alpha[rows].astype(np.uint32)
        opacity = opacity[..., None] if colours.ndim == 3 else opacity
        flat[rows] = (colours[rows] * opacity + ground * (255 - opacity) + 127) // 255
    return flat
