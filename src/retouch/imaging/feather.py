"""The composite mask: how much of the fill each pixel takes."""

import numpy as np
from numpy.typing import NDArray

from retouch.imaging.distance import squared_distance
from retouch.imaging.morphology import Mask, bounding_box, crop, widen

_ENOUGH = 0.9
_REACH = 2
"""A pixel of the rise has one that takes the fill within a feather's width, in sharp corners within two."""


def feather_weights(mask: Mask, feather_px: int) -> NDArray[np.float32]:
    """Return weights of the fill that rise inwards from the edge of the mask, so that kept pixels stay at 0.

    Args:
        mask: (H, W), True = repaint.
        feather_px: width of the rise; 0 gives the mask itself. The border of the picture is no edge.
    Returns:
        (H, W) in [0, 1]: exactly 0 where the mask is False, above 0 where it is True, 1 deeper than `feather_px`.
    """
    weights = mask.astype(np.float32)
    box = bounding_box(mask)
    if feather_px <= 0 or box is None or mask.all():
        return weights
    left, top, right, bottom = widen(box, 1, *mask.shape)
    inner = mask[top:bottom, left:right]
    squared = squared_distance(~inner, feather_px + 1)
    ramp = np.sqrt(np.minimum(squared, (feather_px + 1) ** 2), dtype=np.float32) / np.float32(feather_px + 1)
    # A smooth step, 3t² - 2t³: no visible kink at either end.
    weights[top:bottom, left:right] = np.minimum(ramp * ramp * (3 - 2 * ramp), 1) * inner
    return weights


def feather_warnings(weights: NDArray[np.float32], feather_px: int) -> tuple[str, ...]:
    """Return a warning where parts of the mask are too thin for the feather, so that they keep what they show.

    Such a part reaches a weight of 0.9 nowhere near. The weights are not raised for it: a rise of another width
    in one place would be a seam in the next.

    Args:
        weights: (H, W) in [0, 1], from `feather_weights` with the same `feather_px`.
    """
    box = bounding_box(weights > 0)
    if feather_px <= 0 or box is None:
        return ()
    inner = crop(weights, widen(box, 1, *weights.shape))
    reach = _REACH * (feather_px + 1)
    thin = (inner > 0) & (squared_distance(inner >= _ENOUGH, reach) > reach * reach)
    count = int(np.count_nonzero(thin))
    if not count:
        return ()
    share = count / np.count_nonzero(inner)
    return (
        f"{count} repainted pixels ({share:.0%}) lie in parts too thin for a feather of {feather_px} px, and take "
        f"at most {inner[thin].max():.0%} of the fill",
    )
