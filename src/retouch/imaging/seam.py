"""The fill, corrected so that no border shows where it meets the kept pixels.

What differs along the border of the hole is spread inward as smoothly as can be, and added to the fill. Two things
can be taken for what differs: the step from each kept pixel to the fill beside it, for models that continue the
ground in a colour of their own; or what the model made of the kept pixel itself, an autoencoder's shift, where the
edges along the border stay as the model drew them. Source of the latter: P. Pérez et al., "Poisson image editing"
(2003), as a membrane.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retouch.imaging.laplace import solve_laplace
from retouch.imaging.morphology import Mask
from retouch.imaging.resample import Pixels

Places = NDArray[np.intp]

_OBJECT_STEP = np.float32(0.3)
"""Steps of this share of the peak hold the surface half as strongly as small ones: there an object stands."""


def correct_seam(
    fill: Pixels, original: Pixels, hole: Mask, kept: Mask, *, mode: Literal["harmonic", "rendered"]
) -> Pixels:
    """Return the fill plus what differs along the border, spread over the hole by Laplace's equation.

    Large differences count less than small ones: an object that stands at the border differs from the ground
    beside it for good reason, and would lend its colour to it. Where all differences are one, it goes wholly.

    Args:
        fill, original: (H, W, 3) in [0, 1], the same box. Nothing of `original` is looked at but kept pixels.
        hole: (H, W), True = repaint.
        kept: (H, W), pixels whose colours are known and stay; none of them in the hole. Others have no say.
        mode: `harmonic` compares kept pixels with the fill beside them, `rendered` with the fill's own picture of
            them.
    Returns:
        (H, W, 3), the same outside the hole, and not clipped; the fill itself where no kept pixel is beside it.
    """
    assert fill.shape == original.shape
    assert not (hole & kept).any()
    stiffness = np.zeros(hole.shape, np.float32)
    load = np.zeros((3, *hole.shape), np.float32)
    true, shown = original.reshape(-1, 3), fill.reshape(-1, 3)
    for inside, outside in _border(hole, kept):
        differs = true[outside] - shown[inside if mode == "harmonic" else outside]
        weight = _weights(differs)
        stiffness.reshape(-1)[inside] += weight
        load.reshape(3, -1)[:, inside] += weight * differs.T
    if not stiffness.any():
        return fill
    corrected = fill.copy()
    for channel, surface in enumerate(solve_laplace(hole, stiffness, load)):
        corrected[..., channel] += surface
    return corrected


def _border(hole: Mask, kept: Mask) -> Iterator[tuple[Places, Places]]:
    """Yield the flat places of all pixels of the hole with a kept one on one side, and of these; side by side."""
    width = hole.shape[1]
    down, across = hole[:-1] & kept[1:], hole[:, :-1] & kept[:, 1:]
    up, back = kept[:-1] & hole[1:], kept[:, :-1] & hole[:, 1:]
    for pairs, step, is_first in ((down, width, True), (across, 1, True), (up, width, False), (back, 1, False)):
        row, column = np.nonzero(pairs)
        first = row * width + column
        yield (first, first + step) if is_first else (first + step, first)


def _weights(differs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (N), how much each difference (N, 3) counts: 1 / (1 + (d / s)²), Cauchy's weight of robust fits."""
    largest = np.abs(differs).max(axis=1, initial=0) / _OBJECT_STEP
    return np.asarray(1 / (1 + largest * largest), np.float32)
