"""Recolouring in OKLCh, so that a colour word in a caption means something.

A recoloured picture keeps its lightness structure: every opaque pixel's lightness picks a shade
from a ramp of one hue. OKLab is Björn Ottosson's ("A perceptual color space for image
processing", 2020); the matrices below are its published constants.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
Floats = NDArray[np.floating[Any]]

_RGB_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    dtype=np.float32,
)
_LMS_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ],
    dtype=np.float32,
)
_LMS_TO_RGB = np.linalg.inv(_RGB_TO_LMS.astype(np.float64)).astype(np.float32)
_LAB_TO_LMS = np.linalg.inv(_LMS_TO_LAB.astype(np.float64)).astype(np.float32)
_LEVELS = np.arange(256, dtype=np.float32) / 255
_LINEAR: F32 = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Shade:
    """Centre and extent of one named colour.

    `lightness` in 0..1, `chroma` about 0..0.3, `hue` in degrees (all OKLCh); `down` and `up` say
    how far below and above the centre the ramp may reach.
    """

    lightness: float
    chroma: float
    hue: float
    down: float
    up: float


# Centres chosen by eye between the sRGB primaries and the focal colours of Berlin and Kay.
SHADES: dict[str, Shade] = {
    "red": Shade(0.58, 0.235, 27.0, 0.36, 0.22),
    "orange": Shade(0.73, 0.185, 56.0, 0.40, 0.18),
    "yellow": Shade(0.89, 0.185, 102.0, 0.46, 0.09),
    "green": Shade(0.61, 0.190, 144.0, 0.38, 0.26),
    "blue": Shade(0.53, 0.200, 260.0, 0.34, 0.32),
    "purple": Shade(0.52, 0.220, 304.0, 0.34, 0.30),
    "pink": Shade(0.78, 0.150, 353.0, 0.42, 0.17),
    "brown": Shade(0.43, 0.085, 52.0, 0.26, 0.24),
    "black": Shade(0.20, 0.004, 260.0, 0.16, 0.26),
    "grey": Shade(0.62, 0.004, 260.0, 0.36, 0.22),
    "white": Shade(0.955, 0.004, 260.0, 0.46, 0.04),
}
COLOURS: tuple[str, ...] = tuple(SHADES)


def to_oklab(rgb: U8) -> F32:
    """Convert sRGB bytes (..., 3) to OKLab (..., 3): L in 0..1, a and b about -0.4..0.4."""
    linear = _LINEAR[rgb]
    return np.asarray(np.cbrt(linear @ _RGB_TO_LMS.T) @ _LMS_TO_LAB.T, dtype=np.float32)


def _to_linear(lab: F32) -> F32:
    return np.asarray((lab @ _LAB_TO_LMS.T) ** 3 @ _LMS_TO_RGB.T, dtype=np.float32)


def from_oklab(lab: F32) -> U8:
    """Convert OKLab (..., 3) to sRGB bytes (..., 3); what lies outside the gamut is clipped."""
    linear = np.clip(_to_linear(lab), 0.0, 1.0)
    curve = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(curve * 255), dtype=np.uint8)


def hue_and_chroma(lab: F32) -> tuple[F32, F32]:
    """Return hue in degrees 0..360 and chroma of OKLab values (..., 3)."""
    hue = np.degrees(np.arctan2(lab[..., 2], lab[..., 1])) % 360
    return hue.astype(np.float32), np.hypot(lab[..., 1], lab[..., 2]).astype(np.float32)


def _lch(lightness: Floats, chroma: Floats, hue_degrees: float) -> F32:
    angle = np.radians(hue_degrees)
    return np.stack([lightness, chroma * np.cos(angle), chroma * np.sin(angle)], -1).astype(np.float32)


def _fit_chroma(lightness: Floats, chroma: Floats, hue: float) -> Floats:
    """Reduce chroma (N,) until every colour lies inside sRGB, by bisection."""
    low = np.zeros_like(chroma)
    high = chroma.copy()
    for _ in range(12):
        middle = (low + high) / 2
        linear = _to_linear(_lch(lightness, middle, hue))
        inside = np.all((linear > -1e-3) & (linear < 1 + 1e-3), axis=-1)
        low = np.where(inside, middle, low)
        high = np.where(inside, high, middle)
    return low


@lru_cache(maxsize=512)
def palette(colour: str, variant: int = 0) -> U8:
    """Return the (256, 3) ramp of a colour, indexed by OKLab lightness x 255.

    `variant` 0 is the colour's centre; 1, 2, ... are slightly moved neighbours (hue within 5
    degrees, chroma within 12 %).
    """
    shade = SHADES[colour]
    sway = np.random.default_rng(variant).uniform(-1, 1, 2) if variant else np.zeros(2)
    hue = shade.hue + 5 * float(sway[0])
    lightness = _LEVELS
    # Full chroma around the centre, fading towards black; the gamut does the rest at the top.
    fade = np.clip(lightness / max(shade.lightness * 0.8, 1e-6), 0, 1) ** 0.75
    chroma = (shade.chroma * (1 + 0.12 * float(sway[1])) * fade).astype(np.float32)
    return from_oklab(_lch(lightness, _fit_chroma(lightness, chroma, hue), hue))


def lightness_bytes(rgb: U8) -> U8:
    """Return OKLab lightness x 255 of sRGB bytes: (H, W, 3) to (H, W)."""
    return np.asarray(np.clip(np.rint(to_oklab(rgb)[..., 0] * 255), 0, 255), dtype=np.uint8)


def lightness_range(lightness: U8, alpha: U8) -> tuple[float, float, float]:
    """Return the 3rd, 50th and 97th percentile (0..1) of the lightness of opaque pixels."""
    inside = lightness[alpha > 128]
    if inside.size == 0:
        return 0.0, 0.5, 1.0
    low, middle, high = np.percentile(inside, (3, 50, 97)) / 255
    return float(low), float(middle), float(high)


def shade_lookup(colour: str, spread: tuple[float, float, float], *, variant: int = 0) -> U8:
    """Return the (256, 3) table from a picture's own lightness to the named colour.

    `spread` is the picture's `lightness_range`: its median lands on the colour's centre, its
    extremes within the colour's extent; contrast is never raised by more than a half.
    """
    shade = SHADES[colour]
    low, middle, high = spread
    # The body must carry the colour's own lightness, or 'yellow' turns out olive.
    below = min(shade.down / max(middle - low, 0.05), 1.5 if shade.down > 0.2 else 0.9)
    above = min(shade.up / max(high - middle, 0.05), 1.2)
    offset = _LEVELS - middle
    target = shade.lightness + np.where(offset < 0, offset * below, offset * above)
    target = np.clip(target, max(shade.lightness - shade.down * 1.1, 0.03), 0.995)
    return np.asarray(palette(colour, variant)[np.rint(target * 255).astype(np.intp)])


def recolour(rgba: U8, colour: str, *, variant: int = 0) -> U8:
    """Paint a picture in one of the eleven named colours.

    Args:
        rgba: (H, W, 4) bytes, straight alpha.
        colour: a key of `SHADES`.
        variant: which neighbour of the colour's centre (see `palette`).
    Returns:
        (H, W, 4) bytes with the same alpha.
    Raises:
        KeyError: the colour is not one of the eleven.
    """
    lightness = lightness_bytes(rgba[..., :3])
    table = shade_lookup(colour, lightness_range(lightness, rgba[..., 3]), variant=variant)
    return np.concatenate([table[lightness], rgba[..., 3:]], axis=-1)
