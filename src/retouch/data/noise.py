"""Smooth noise and mixing: what the procedural grounds and walls are drawn with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

F32 = NDArray[np.float32]
Rng = np.random.Generator


def smooth(rng: Rng, side: int, cells: tuple[int, int]) -> F32:
    """One layer of smooth noise, about 0..1, (side, side), from a grid of (rows, columns) cells."""
    rows, columns = (max(1, min(count, side)) for count in cells)
    grid = Image.fromarray(rng.random((rows, columns), dtype=np.float32))
    return np.asarray(grid.resize((side, side), Image.Resampling.BICUBIC))


def noise(rng: Rng, side: int, cells: int, *, octaves: int = 4) -> F32:
    """Smooth noise in 0..1, (side, side); `cells` is the coarsest grid."""
    total = np.zeros((side, side), dtype=np.float32)
    for octave in range(octaves):
        n = cells * 2**octave
        total += smooth(rng, side, (n, n)) * 0.5**octave
    low, high = float(total.min()), float(total.max())
    return (total - low) / max(high - low, 1e-6)


def mix(a: F32, b: F32, weight: F32) -> F32:
    """Blend two colours or pictures (..., 3) by a weight (H, W)."""
    return np.asarray(a + (b - a) * weight[..., None], dtype=np.float32)
