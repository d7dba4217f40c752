"""Samples of PNG files and of 16-bit TIFF files, decoded by `imagecodecs`.

Pillow narrows 48-bit colour to 24 in silence, and takes a PNG file whose pixels end early for a whole one; the
libraries behind `imagecodecs` do neither.
"""

import imagecodecs
import numpy as np

from retouch.errors import ImageError, ImageFormatError
from retouch.foreign import foreign_as
from retouch.imaging.bands import in_bands
from retouch.imaging.picture import Samples
from retouch.imaging.png_chunks import LeanPng
from retouch.imaging.tiff_header import TiffHeader

_TIFF_COMPRESSIONS = (1, 5, 8, 32773, 32946)
"""None, LZW, deflate (both numbers) and PackBits."""

Planes = tuple[Samples, Samples | None]


def decode_png(png: LeanPng, height: int, width: int) -> Planes:
    """Decode a lean PNG file whose size was checked: pixels and alpha, palettes as RGB, less than 8 bits as 8.

    Raises:
        ImageError: the file is cut short or broken.
    """
    shape = (height, width) if png.channels == 1 else (height, width, png.channels)
    samples = np.empty(shape, np.uint16 if png.bits == 16 else np.uint8)
    try:
        with foreign_as(ImageError("the PNG file is broken", hint="save the picture again")):
            imagecodecs.png_decode(png.data, out=samples)
    except ImageError:
        # imagecodecs 2026.3.6 keeps a reference where rows are broken (and, without `out`, takes one from `None`,
        # until the interpreter dies of it): what it keeps must be small.
        samples.resize((0,), refcheck=False)
        raise
    return _split(samples, height, width)


def decode_tiff16(data: bytes, header: TiffHeader) -> Planes:
    """Decode the first page of a TIFF file of 16-bit samples whose size was checked, without turning it.

    Raises:
        ImageFormatError: a compression or colour model that is not known to keep 16 bits.
        ImageError: the file is cut short or broken.
    """
    known = header.compression in _TIFF_COMPRESSIONS and header.photometric in (0, 1, 2)
    if not known or header.samples not in (1, 2, 3, 4):
        raise ImageFormatError(
            "this kind of 16-bit TIFF cannot be read", hint="save it as RGB or grey with LZW or deflate, or as PNG"
        )
    shape: tuple[int, ...] = (header.height, header.width)
    if header.samples > 1:
        shape = (header.samples, *shape) if header.planar == 2 else (*shape, header.samples)
    with foreign_as(ImageError("the TIFF file is broken", hint="save the picture again")):
        # The decoder compares its own idea of the size with this array before it allocates or decodes anything.
        samples = imagecodecs.tiff_decode(data, index=0, out=np.empty(shape, np.uint16))
    if header.planar == 2 and samples.ndim == 3:
        samples = np.moveaxis(samples, 0, -1)
    pixels, alpha = _split(samples, header.height, header.width)
    if header.photometric == 0:
        pixels = in_bands(lambda rows: np.asarray(65_535 - rows, dtype=np.uint16), pixels)
    if alpha is not None and header.extra[:1] == (1,):
        pixels = in_bands(_unpremultiply, pixels, alpha)
    return pixels, alpha


def _split(samples: np.ndarray, height: int, width: int) -> Planes:
    if (
        samples.dtype not in (np.uint8, np.uint16)
        or samples.shape[:2] != (height, width)
        or samples.ndim not in (2, 3)
    ):
        raise ImageError("the picture is not what its header says", hint="save the picture again")
    if samples.ndim == 2:
        return samples, None
    channels = samples.shape[2]
    if channels not in (1, 2, 3, 4):
        raise ImageFormatError(f"pictures of {channels} channels cannot be read", hint="save it as RGB or RGBA")
    colours = 1 if channels < 3 else 3
    pixels = samples[..., 0] if colours == 1 else samples[..., :3]
    alpha = samples[..., colours] if channels > colours else None
    return np.ascontiguousarray(pixels), None if alpha is None else np.ascontiguousarray(alpha)


def _unpremultiply(pixels: Samples, alpha: Samples) -> Samples:
    """Divide by alpha, as the rest of the program expects; fully transparent pixels become black."""
    weight = alpha.astype(np.float32) / 65_535
    if pixels.ndim == 3:
        weight = weight[..., None]
    divided = np.divide(pixels, weight, out=np.zeros(pixels.shape, np.float32), where=weight > 0)
    return np.minimum(np.rint(divided), 65_535).astype(np.uint16)
