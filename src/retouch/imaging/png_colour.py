"""What a PNG file says of the colours that its samples stand for, beside a profile.

Source: PNG specification, third edition, sections 4.3 (precedence) and 11.3.2; ITU-T H.273 for the code points.
"""

import struct
from collections.abc import Mapping

COLOUR_CHUNKS: Mapping[bytes, int] = {b"cICP": 4, b"mDCV": 24, b"cLLI": 8, b"sRGB": 1, b"gAMA": 4, b"cHRM": 32}
"""The length of each chunk's content."""

_SRGB_CICP = (b"\x01\x0d\x00\x01", b"\x02\x0d\x00\x01")
_SRGB_GAMMA, _GAMMA_TOLERANCE = 45_455, 500
_SRGB_PRIMARIES, _PRIMARY_TOLERANCE = (31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000), 200


def are_srgb(colours: Mapping[bytes, bytes], icc: bytes | None) -> bool:
    """Tell whether samples look the same to a reader that knows the profile and nothing of these chunks."""
    if b"cICP" in colours:
        return colours[b"cICP"] in _SRGB_CICP
    if icc or b"sRGB" in colours:
        return True
    (gamma,) = struct.unpack(">I", colours.get(b"gAMA", struct.pack(">I", _SRGB_GAMMA)))
    primaries = struct.unpack(">8I", colours.get(b"cHRM", struct.pack(">8I", *_SRGB_PRIMARIES)))
    return abs(gamma - _SRGB_GAMMA) <= _GAMMA_TOLERANCE and all(
        abs(one - other) <= _PRIMARY_TOLERANCE for one, other in zip(primaries, _SRGB_PRIMARIES, strict=True)
    )
