"""Which of the eleven colour words a fill would be given.

The fill's own colour is a weighted median in OKLab over the hole: pixels count for as much as they lie towards
the hole's middle and differ from the ground around the hole. It is named by the nearest centre of the shades
that the data recolours with. Strongly tinted places fool any such measure (under warm light yellow becomes
orange), so `light_cast` says which pictures to leave out.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from retouch.data.colour import COLOURS, SHADES, to_oklab
from retouch.evaluate.metrics import grow_city_block, mask_box

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]

# Above this mean chroma of the surroundings a real composite's own colour is misread too often.
NEUTRAL_CAST = 0.05
_LIGHTNESS_WEIGHT = 0.6  # a shadow changes lightness far more readily than hue
_DISTINCT = 0.15  # OKLab distance at which a pixel surely is not the ground
_RING_PX = 6
_FRAME_PX = 4
_RING_SAMPLES = 96


@dataclass(frozen=True, slots=True)
class ColourReading:
    """What was measured: the fill's OKLab colour, and the colour words from nearest to farthest."""

    lab: tuple[float, float, float]
    words: tuple[str, ...]
    distances: tuple[float, ...]

    @property
    def word(self) -> str:
        return self.words[0]

    @property
    def margin(self) -> float:
        """How much farther the second word is than the first; near 0 the reading is a toss-up."""
        return self.distances[1] - self.distances[0]


def read_colour(picture: U8, mask: Mask) -> ColourReading:
    """Name the colour of what stands in the hole.

    Args:
        picture: (H, W, 3) bytes, the hole filled.
        mask: (H, W), True = the hole.
    Raises:
        ValueError: the mask is empty.
    """
    left, top, right, bottom = mask_box(mask)
    lab = to_oklab(picture)
    weights = _centre_weights(bottom - top, right - left) * mask[top:bottom, left:right]
    hole = lab[top:bottom, left:right]
    ring = _ring(lab, mask)
    weights = weights * _difference(hole.reshape(-1, 3), ring).reshape(weights.shape)
    colour = np.array([_weighted_median(hole[..., k].ravel(), weights.ravel()) for k in range(3)])
    scale = np.array([_LIGHTNESS_WEIGHT, 1.0, 1.0])
    distances = np.linalg.norm((_centres() - colour) * scale, axis=1)
    order = np.argsort(distances)
    return ColourReading(
        lab=(float(colour[0]), float(colour[1]), float(colour[2])),
        words=tuple(COLOURS[int(k)] for k in order),
        distances=tuple(float(distances[int(k)]) for k in order),
    )


def light_cast(picture: U8, mask: Mask) -> float:
    """Return the chroma of the kept pixels' mean OKLab colour: 0 is neutral; NaN where nothing is kept."""
    kept = ~mask
    if not kept.any():
        return float("nan")
    mean = to_oklab(picture)[kept].mean(axis=0)
    return float(np.hypot(mean[1], mean[2]))


def is_neutral(picture: U8, mask: Mask) -> bool:
    """Whether colours can be judged here; a mask over everything leaves no place to tint the fill."""
    cast = light_cast(picture, mask)
    return bool(np.isnan(cast)) or cast <= NEUTRAL_CAST


@lru_cache(maxsize=1)
def _centres() -> F32:
    """The shades' centres in OKLab, (11, 3), in the order of `COLOURS`."""
    rows = []
    for word in COLOURS:
        shade = SHADES[word]
        angle = np.radians(shade.hue)
        rows.append((shade.lightness, shade.chroma * np.cos(angle), shade.chroma * np.sin(angle)))
    return np.asarray(rows, dtype=np.float32)


def _centre_weights(height: int, width: int) -> F32:
    """A Gaussian bump over the hole's box, sigma a third of its sides."""
    y = (np.arange(height) + 0.5) / height - 0.5
    x = (np.arange(width) + 0.5) / width - 0.5
    return np.exp(-4.5 * (y[:, None] ** 2 + x[None, :] ** 2)).astype(np.float32)


def _ring(lab: F32, mask: Mask) -> F32:
    """Colours (N, 3) of the kept pixels just outside the hole, evenly thinned.

    Where nothing is kept it is the picture's own frame: the asked thing stands in the middle.
    """
    frame = np.ones_like(mask)
    frame[_FRAME_PX:-_FRAME_PX, _FRAME_PX:-_FRAME_PX] = False
    pixels = lab[frame if mask.all() else grow_city_block(mask, _RING_PX) & ~mask]
    step = max(1, len(pixels) // _RING_SAMPLES)
    return np.asarray(pixels[::step])


def _difference(pixels: F32, ring: F32) -> F32:
    """How surely each pixel (N, 3) is not of the ring's ground: 0.02 (its like is there) to 1."""
    # |p - r|^2 = |p|^2 + |r|^2 - 2 p.r, as one matrix product: (N, R)
    gaps = (pixels**2).sum(axis=1)[:, None] + (ring**2).sum(axis=1)[None] - 2 * pixels @ ring.T
    nearest = np.sqrt(np.clip(gaps.min(axis=1), 0.0, None))
    return np.asarray(np.clip(nearest / _DISTINCT, 0.02, 1.0), dtype=np.float32)


def _weighted_median(values: F32, weights: F32) -> float:
    order = np.argsort(values)
    cumulated = np.cumsum(weights[order])
    return float(values[order][int(np.searchsorted(cumulated, cumulated[-1] / 2))])
