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
