"""What a PNG file says of its colours is known for what it means."""

import struct

import pytest

from retouch.imaging.png_colour import are_srgb

SRGB_PRIMARIES = struct.pack(">8I", 31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000)
P3_PRIMARIES = struct.pack(">8I", 31_270, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6_000)


def _gamma(value: int) -> bytes:
    return struct.pack(">I", value)


@pytest.mark.parametrize(
    ("colours", "icc", "expected"),
    [
        ({}, None, True),
        ({b"sRGB": b"\0"}, None, True),
        ({b"gAMA": _gamma(45_455), b"cHRM": SRGB_PRIMARIES}, None, True),
        ({b"gAMA": _gamma(45_000)}, None, True),
        ({b"gAMA": _gamma(100_000)}, None, False),
        ({b"cHRM": P3_PRIMARIES}, None, False),
        ({b"gAMA": _gamma(100_000), b"sRGB": b"\0"}, None, True),
        ({b"gAMA": _gamma(100_000)}, b"profile", True),
        ({b"cICP": bytes((1, 13, 0, 1))}, None, True),
        ({b"cICP": bytes((9, 16, 0, 1))}, None, False),
        ({b"cICP": bytes((9, 16, 0, 1)), b"sRGB": b"\0"}, b"profile", False),
    ],
)
def test_the_strongest_word_counts(colours: dict, icc: bytes | None, expected: bool) -> None:
    assert are_srgb(colours, icc) == expected
