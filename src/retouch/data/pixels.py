"""Decode training pictures and masks by the same careful door as everybody's pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retouch.imaging.decode import decode_picture
from retouch.imaging.limits import DecodeLimits
from retouch.imaging.luma import luminance
from retouch.imaging.to_pillow import to_8_bits

U8 = NDArray[np.uint8]
TRAINING_LIMITS = DecodeLimits(image_bytes=32 * 2**20)


def rgb_pixels(source: bytes | Path, limits: DecodeLimits = TRAINING_LIMITS) -> U8:
    """Return (H, W, 3) bytes, turned by EXIF; transparency is laid over white.

    Raises:
        ImageError: not a picture, broken, or over a limit.
    """
    picture = decode_picture(source, limits=limits)
    colours = to_8_bits(picture.pixels)
    if colours.ndim == 2:
        colours = np.repeat(colours[..., None], 3, axis=2)
    if picture.alpha is None:
        return np.asarray(colours, dtype=np.uint8)
    alpha = to_8_bits(picture.alpha)[..., None].astype(np.float32) / 255
    return np.asarray(np.rint(colours * alpha + 255 * (1 - alpha)), dtype=np.uint8)


def mask_pixels(source: bytes | Path, limits: DecodeLimits = TRAINING_LIMITS) -> NDArray[np.bool_]:
    """Return (H, W), True where the mask is at least half white (repaint).

    Raises:
        ImageError: not a picture, broken, or over a limit.
    """
    picture = decode_picture(source, limits=limits)
    return np.asarray(luminance(to_8_bits(picture.pixels)) >= 128)
