"""Crops of ordinary photographs that no training of this project sees: scikit-image's examples."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retouch.errors import MissingExtra

U8 = NDArray[np.uint8]

REMOVAL_PROMPT = "background"


@dataclass(frozen=True, slots=True)
class Photograph:
    """A picture of `skimage.data`: its function's name, its origin and licence as that module states them."""

    name: str
    origin: str
    licence: str


PHOTOGRAPHS: tuple[Photograph, ...] = (
    Photograph("astronaut", "NASA", "public domain"),
    Photograph("brick", "CC0Textures", "CC0-1.0"),
    Photograph("cat", "Stefan van der Walt", "CC0-1.0"),
    Photograph("coffee", "Rachel Michetti", "CC0-1.0"),
    Photograph("grass", "linolafett", "CC0-1.0"),
    Photograph("gravel", "CC0Textures", "CC0-1.0"),
    Photograph("rocket", "SpaceX", "CC0-1.0"),
)
"""Those that the package holds itself, so that they need no network."""


def photograph_crop(number: int, size: int, rng: np.random.Generator) -> U8:
    """Return a random square of a photograph, half to all of its shorter side, scaled to `size` pixels.

    Args:
        number: counts through `PHOTOGRAPHS`, over and over.
        size: side of the crop in pixels; smaller where the source has fewer, then enlarged.
        rng: of the place.
    Returns:
        (size, size, 3) bytes.
    Raises:
        MissingExtra: scikit-image is not installed.
    """
    pixels = _pixels(PHOTOGRAPHS[number % len(PHOTOGRAPHS)].name)
    cut = round(min(pixels.shape[:2]) * float(rng.uniform(0.5, 1.0)))
    top, left = (int(rng.integers(0, extent - cut + 1)) for extent in pixels.shape[:2])
    crop = Image.fromarray(pixels).resize(
        (size, size), Image.Resampling.LANCZOS, box=(left, top, left + cut, top + cut)
    )
    return np.asarray(crop)


@cache
def _pixels(name: str) -> U8:
    picture = getattr(_skimage_data(), name)()
    return np.asarray(picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2))


def _skimage_data() -> Any:
    try:
        import skimage.data
    except ImportError as error:
        raise MissingExtra("the photographs are scikit-image's", hint="pip install 'retouch[evaluate]'") from error
    return skimage.data
