"""Copies of a picture that fit what Azure AI Content Safety takes."""

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

from retouch.safety.views import GREY, Pixels8, View, shrunk

MAX_BYTES = 4 * 1024 * 1024
MAX_SIDE_PX = 2048
"""The service was seen to take more; this is what its specification promises."""
MIN_SIDE_PX = 50
MAX_ASPECT = 8
"""Of a longer picture the short side would shrink to where nothing can be seen: it is sent in parts."""
_QUALITIES = (90, 75, 50, 25)


def uploads_of(look: View) -> Iterator[tuple[str, bytes]]:
    """Yield the JPEG files that show a whole look, with the names of what they show: one, but of long pictures.

    The pixels alone are sent: no metadata.

    Raises:
        ValueError: a file stays too large; never met at these sides.
    """
    parts = list(_parts(look.pixels))
    for number, part in enumerate(parts, 1):
        name = look.name if len(parts) == 1 else f"{look.name}, part {number}/{len(parts)}"
        yield name, _encoded(_padded(shrunk(part, MAX_SIDE_PX)))


def _parts(pixels: Pixels8) -> Iterator[Pixels8]:
    """Yield overlapping parts of at most `MAX_ASPECT`, or that need no scaling, from end to end."""
    height, width = pixels.shape[:2]
    long, short = max(height, width), min(height, width)
    length = min(long, max(MAX_ASPECT * short, MAX_SIDE_PX))
    steps = -(-(long - length) // (length - length // MAX_ASPECT))
    for start in np.rint(np.linspace(0, long - length, steps + 1)).astype(int).tolist():
        yield pixels[:, start : start + length] if width >= height else pixels[start : start + length]


def _padded(pixels: Pixels8) -> Pixels8:
    below, beside = (max(0, MIN_SIDE_PX - side) for side in pixels.shape[:2])
    return np.pad(pixels, ((0, below), (0, beside), (0, 0)), constant_values=GREY)


def _encoded(pixels: Pixels8) -> bytes:
    image = Image.fromarray(pixels)
    for quality in _QUALITIES:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        if file.tell() <= MAX_BYTES:
            return file.getvalue()
    raise ValueError("the picture stays too large for the service")
