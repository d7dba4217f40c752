"""The fill's colours, moved so that it meets the kept pixels around it."""

import numpy as np
from numpy.typing import NDArray

from retouch.imaging.morphology import Mask, bounding_box, crop, grow, widen
from retouch.imaging.resample import Pixels

RING_PX = 24
"""How far around the mask kept pixels are looked at."""
_MIN_SAMPLES = 32
_GAIN_LIMITS = (0.5, 2.0)
_MIN_CORRELATION = 0.5


def match_colors(fill: Pixels, original: Pixels, mask: Mask, *, known: Mask | None = None) -> Pixels:
    """Undo the shift that the model gave to what it should have kept.

    A model that decodes the whole region shows, in the kept pixels around the hole, what it does to colours.
    Their mean and spread, per channel, are compared with those of the original, and the fill gets the opposite.
    Nothing that the mask hides is looked at. Source of mean and spread: E. Reinhard et al., "Color transfer
    between images" (2001), here in the picture's own RGB, where an autoencoder's shift arises.

    Args:
        fill, original: (H, W, 3) in [0, 1], the same box.
        mask: (H, W), True = repaint.
        known: (H, W), False where the original's colours are nobody's picture; None where all are somebody's.
    Returns:
        (H, W, 3) in [0, 1]; the fill itself where too few pixels are kept to judge by.
    """
    ring = _ring(mask) if known is None else _ring(mask) & known
    shown, true = fill[ring].astype(np.float64), original[ring].astype(np.float64)
    if len(shown) < _MIN_SAMPLES:
        return fill
    gain = _gains(shown, true)
    offset = true.mean(axis=0) - gain * shown.mean(axis=0)
    matched = fill * gain.astype(np.float32)
    matched += offset.astype(np.float32)
    return np.clip(matched, 0, 1, out=matched)


def _ring(mask: Mask) -> Mask:
    """Mark the kept pixels within a few dozen pixels of the mask."""
    ring = np.zeros_like(mask)
    box = bounding_box(mask)
    if box is not None:
        near = widen(box, RING_PX, *mask.shape)
        crop(ring, near)[:] = grow(crop(mask, near), RING_PX) & ~crop(mask, near)
    return ring


def _gains(shown: NDArray[np.float64], true: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ratio of the spreads per channel; 1 where the two hardly vary together, as it would be chance."""
    spread_shown, spread_true = shown.std(axis=0), true.std(axis=0)
    together = ((shown - shown.mean(axis=0)) * (true - true.mean(axis=0))).mean(axis=0)
    product = spread_shown * spread_true
    correlation = np.divide(together, product, out=np.zeros(3), where=product > 1e-9)
    ratio = np.divide(spread_true, spread_shown, out=np.ones(3), where=spread_shown > 1e-6)
    gains: NDArray[np.float64] = np.where(correlation > _MIN_CORRELATION, np.clip(ratio, *_GAIN_LIMITS), 1.0)
    return gains
