"""`DecodeLimits`: how large a picture may be before it is decoded."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What an encoded picture or mask may be at most; all but the first are read from its header.

    Attributes:
        image_bytes: size of the encoded picture or mask.
        image_pixels: width times height, checked before it is decoded.
        image_side: longer side, in pixels.
        image_min_side: shorter side, in pixels.
    """

    image_bytes: int = 64 * 2**20
    image_pixels: int = 50_000_000
    image_side: int = 16_384
    image_min_side: int = 1


DEFAULT_DECODE_LIMITS = DecodeLimits()

_SMALL_PIXELS = 2**20
_MOST_PADDING = 4


def is_padded(tiled_pixels: int, pixels: int) -> bool:
    """Tell whether the tiles of a picture hold far more pixels than itself, as they never need to.

    Tiles reach over a picture's border by less than a tile on each side, which is at most four times its area
    where the picture is larger than one tile; smaller ones are given a common tile's size.
    """
    return tiled_pixels > max(_SMALL_PIXELS, _MOST_PADDING * pixels)
