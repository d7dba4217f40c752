"""Eight shapes of holes as people draw them over photographs, each a pure function of a random generator."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from retouch.data.masks import Brush, box, ellipse, random_box

Mask = NDArray[np.bool_]
Rng = np.random.Generator
Size = tuple[int, int]


def _round(rng: Rng, size: Size) -> Mask:
    height, width = size
    h, w = round(height * rng.uniform(0.3, 0.45)), round(width * rng.uniform(0.3, 0.45))
    top, left = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
    return ellipse(size, (left, top, left + w, top + h))


def _stroke(rng: Rng, size: Size) -> Mask:
    """One stroke of a thick brush that wanders across the picture."""
    side = min(size)
    brush = Brush(size)
    angle = float(rng.uniform(0, 2 * np.pi))
    y, x = (float(rng.uniform(0.3, 0.7)) * extent for extent in size)
    for _ in range(4):
        angle += float(rng.uniform(-0.9, 0.9))
        end = x + 0.16 * side * np.cos(angle), y + 0.16 * side * np.sin(angle)
        brush.line((x, y), end, 0.12 * side)
        x, y = end
    return brush.mask


def _outline(rng: Rng, size: Size) -> Mask:
    """The outline of a thing, as cut out by hand: a closed curve with a few bulges."""
    height, width = size
    centre = rng.uniform(0.35, 0.65, 2) * size
    y, x = np.mgrid[:height, :width]
    around = np.arctan2(y - centre[0], x - centre[1])
    waves = sum(
        float(rng.uniform(-0.3, 0.3)) / k**0.5 * np.cos(k * around + float(rng.uniform(0, 6.3)))
        for k in range(2, 6)
    )
    return np.asarray(np.hypot(y - centre[0], x - centre[1]) <= 0.21 * min(size) * (1 + waves))


def _elongated(rng: Rng, size: Size) -> Mask:
    short, long = (0.08, 0.14), (0.6, 0.85)
    return random_box(rng, size, *((short, long) if rng.random() < 0.5 else (long, short)))


def _border(rng: Rng, size: Size) -> Mask:
    """A box that the picture's border cuts."""
    height, width = size
    h, w = round(height * rng.uniform(0.3, 0.45)), round(width * rng.uniform(0.3, 0.45))
    top, left = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
    corners = ((0, top), (width - w, top), (left, 0), (left, height - h))
    left, top = corners[int(rng.integers(4))]
    return box(size, (left, top, left + w, top + h))


HOLES: dict[str, Callable[[Rng, Size], Mask]] = {
    "box": lambda rng, size: random_box(rng, size, (0.3, 0.45)),
    "round": _round,
    "stroke": _stroke,
    "outline": _outline,
    "elongated": _elongated,
    "at the border": _border,
    "large": lambda rng, size: random_box(rng, size, (0.6, 0.75)),
    "small": lambda rng, size: random_box(rng, size, (0.12, 0.18)),
}
"""By name; sizes are (height, width), masks (H, W) with True = repaint."""
