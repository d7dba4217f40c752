"""Decode training pictures and masks by the same careful door as everybody's pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retouch.imaging.decode import decode_picture
from retouch.imaging.flatten import laid_on
from retouch.imaging.limits import DecodeLimits
from retouch.imaging.mask import mask_strength

U8 = NDArray[np.uint8]
TRAINING_LIMITS = DecodeLimits(image_bytes=32 * 2**20)


def rgb_pixels(source: bytes | Path, limits: DecodeLimits = TRAINING_LIMITS) -> U8:
    """Return (H, W, 3) bytes, turned by EXIF; transparency is laid over white.

    Raises:
        ImageError: not a picture, broken, or over a limit.
    """
    colours = laid_on(decode_picture(source, limits=limits), 255)
    return np.asarray(colours if colours.ndim == 3 else np.repeat(colours[..., None], 3, axis=2), np.uint8)


def mask_pixels(source: bytes | Path, limits: DecodeLimits = TRAINING_LIMITS) -> NDArray[np.bool_]:
    """Return (H, W), True where the mask is at least half white (repaint); alpha weakens it, as in every mask.

    Raises:
        ImageError: not a picture, broken, or over a limit.
    """
    picture = decode_picture(source, limits=limits)
    strength, _ = mask_strength(picture, "white")
    return np.asarray(strength >= 0.5 * picture.peak)
