"""From a picture as the caller has it to a `Picture`: the only door for untrusted bytes.

The format comes from the magic bytes and must be on the list; size and number of pixels are compared with the
limits before any decoder runs; a file that is cut short is an error, never half a picture. No text of a decoder
reaches the error, because it may tell addresses and paths.
"""

import io
from dataclasses import replace
from os import PathLike
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retouch.errors import ImageError, ImageFormatError
from retouch.foreign import foreign_as
from retouch.imaging.arrays import picture_of_array
from retouch.imaging.bands import in_bands
from retouch.imaging.exif_edit import clean_exif
from retouch.imaging.from_pillow import samples_of
from retouch.imaging.headers import Header, check_size, read_header
from retouch.imaging.limits import DEFAULT_DECODE_LIMITS, DecodeLimits
from retouch.imaging.orientation import turn
from retouch.imaging.picture import Picture, Samples
from retouch.imaging.png_chunks import MAX_ICC_BYTES, LeanPng, lean_png
from retouch.imaging.sample_codecs import decode_png, decode_tiff16
from retouch.imaging.sources import Readable, read_bytes
from retouch.imaging.tiff_header import COMPRESSIONS as TIFF_COMPRESSIONS
from retouch.imaging.tiff_header import ICC_TAG

ImageLike: TypeAlias = Picture | Image.Image | NDArray[Any] | PathLike[str] | bytes | Readable

_TIFF_BITS = (1, 2, 4, 8, 12, 16)
_MAX_DPI = 65_535
_FIRST_ONLY = "the file holds several pictures; the first one is used"
_NO_PROFILE = "the file's colour profile is broken and was left out"
_NO_EXIF = "the file's EXIF is broken or too large and was left out"


def decode_picture(source: ImageLike, *, limits: DecodeLimits = DEFAULT_DECODE_LIMITS) -> Picture:
    """Decode a picture whole and at full depth, turned as its EXIF orientation says.

    Args:
        source: a `Picture`, a Pillow image, an array (see `picture_of_array`), a `Path` (a text is never opened:
            see `sources`), encoded bytes or an open binary file. PNG, JPEG, WebP, AVIF, TIFF and BMP are read; of
            several frames, the first.
        limits: bytes, pixels and sides; checked before decoding.

    Raises:
        ImageFormatError: not one of those formats, or samples that are neither 8 nor 16 bits.
        ImageTooLarge: over a limit.
        ImageError: broken, cut short, empty, or not there.
    """
    if isinstance(source, Picture):
        check_size(source.width, source.height, limits)
        return source
    if isinstance(source, np.ndarray):
        picture = picture_of_array(source)
        check_size(picture.width, picture.height, limits)
        return picture
    if isinstance(source, Image.Image):
        check_size(source.width, source.height, limits)
        return _picture_of_image(source)
    data = read_bytes(source, limits.image_bytes)
    header = read_header(data)
    check_size(header.width, header.height, limits)
    picture = _decode(data, header, limits)
    return replace(picture, source_format=header.format)


def _decode(data: bytes, header: Header, limits: DecodeLimits) -> Picture:
    if header.format == "PNG":
        return _decode_png(lean_png(data), header)
    if header.tiff is not None and max(header.tiff.bits) == 16:
        return _decode_tiff16(data, header)
    if header.tiff is not None and header.tiff.compression not in TIFF_COMPRESSIONS:
        raise ImageFormatError(
            "this kind of compressed TIFF cannot be read", hint="save it with LZW or deflate, or as PNG"
        )
    if header.tiff is not None and max(header.tiff.bits) not in _TIFF_BITS:
        raise ImageFormatError(
            f"TIFF with {max(header.tiff.bits)} bits a sample cannot be read", hint="save it with 8 or 16"
        )
    picture = _decode_with_pillow(data if header.avif is None else header.avif.data, header, limits)
    if header.tiff is not None and max(header.tiff.bits) == 12:
        picture = picture.with_pixels(in_bands(_from_12_bits, picture.pixels))
    if header.format == "AVIF" and header.bits > 8:
        picture = _warn(picture, f"the file's {header.bits} or more bits a sample were read as 8")
    return _warn(picture, _FIRST_ONLY) if header.is_animated else picture


def _from_12_bits(samples: Samples) -> Samples:
    """Repeat the upper bits below the lower ones: 4095 becomes 65535, and no two levels become one."""
    return np.asarray(samples << 4 | samples >> 8, np.uint16)


def _decode_png(lean: LeanPng, header: Header) -> Picture:
    pixels, alpha = decode_png(lean, header.height, header.width)
    if lean.colour_key is not None:
        alpha = _alpha_of_key(pixels, lean.colour_key, lean.bits)
    warnings = (_FIRST_ONLY,) * lean.is_animated + (_NO_PROFILE,) * lean.is_icc_broken
    picture = Picture(
        pixels,
        alpha,
        lean.icc,
        lean.exif,
        lean.mode,
        png_colours=lean.colours,
        dpi=lean.dpi,
        warnings=warnings,
    )
    return _oriented(picture)


def _alpha_of_key(pixels: Samples, key: tuple[int, ...], bits: int) -> Samples:
    """Return alpha 0 where the samples equal the colour key of a file of `bits` a sample, else the peak."""
    peak = int(np.iinfo(pixels.dtype).max)
    scale = peak // (2**bits - 1)
    wanted = np.array([(value & (2**bits - 1)) * scale for value in key], pixels.dtype)
    same = (pixels == wanted).all(axis=2) if pixels.ndim == 3 else pixels == wanted[0]
    return np.where(same, 0, peak).astype(pixels.dtype)


def _decode_tiff16(data: bytes, header: Header) -> Picture:
    tiff = header.tiff
    assert tiff is not None
    if set(tiff.bits) != {16}:
        raise ImageFormatError("the TIFF file mixes depths", hint="save it with 8 or 16 bits a sample")
    pixels, alpha = decode_tiff16(data, tiff)
    pixels = turn(pixels, tiff.orientation)
    alpha = None if alpha is None else turn(alpha, tiff.orientation)
    mode = "I;16" if pixels.ndim == 2 else "RGB;16"
    warnings = (_FIRST_ONLY,) if header.is_animated else ()
    return Picture(pixels, alpha, _limited_icc(tiff.texts.get(ICC_TAG)), None, mode, warnings=warnings)


def _decode_with_pillow(data: bytes, header: Header, limits: DecodeLimits) -> Picture:
    broken = ImageError(f"the {header.format} file is broken or cut short", hint="save the picture again")
    with foreign_as(broken), Image.open(io.BytesIO(data), formats=[header.format]) as image:
        check_size(image.width, image.height, limits)
        picture = _picture_of_image(image)
    stored = {(header.height, header.width), (header.width, header.height)}
    if (picture.height, picture.width) not in stored:
        raise ImageError("the picture is not what its header says", hint="save the picture again")
    return picture


def _picture_of_image(image: Image.Image) -> Picture:
    """Make a picture of a Pillow image, which is loaded here where it was opened lazily."""
    with foreign_as(ImageError("the picture is broken or cut short", hint="save it again")):
        image.load()
        pixels, alpha = samples_of(image)
        # TIFF files come out of `load` turned already, and their EXIF is the file's own directory.
        is_tiff = image.format == "TIFF"
        exif = None if is_tiff else image.info.get("exif")
    icc = None if image.mode == "CMYK" else _limited_icc(image.info.get("icc_profile"))
    return _oriented(Picture(pixels, alpha, icc, exif, image.mode, dpi=_dpi(image)))


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    """Return the dots per inch that an image states; for JPEG files that do not, Pillow supposes 72."""
    if image.format == "JPEG" and image.info.get("jfif_unit") not in (1, 2):
        return None
    try:
        across, down = (float(one) for one in image.info.get("dpi", ()))
    except (TypeError, ValueError):
        return None
    return (across, down) if 0 < across <= _MAX_DPI and 0 < down <= _MAX_DPI else None


def _oriented(picture: Picture) -> Picture:
    exif, orientation, is_dropped = clean_exif(picture.exif)
    alpha = None if picture.alpha is None else turn(picture.alpha, orientation)
    dpi = picture.dpi[::-1] if picture.dpi and orientation >= 5 else picture.dpi
    turned = replace(picture, pixels=turn(picture.pixels, orientation), alpha=alpha, exif=exif, dpi=dpi)
    return _warn(turned, _NO_EXIF) if is_dropped else turned


def _limited_icc(icc: object) -> bytes | None:
    if not isinstance(icc, bytes) or not icc:
        return None
    if len(icc) > MAX_ICC_BYTES:
        raise ImageError("the colour profile is too large", hint="save the picture without it")
    return icc


def _warn(picture: Picture, text: str) -> Picture:
    return replace(picture, warnings=(*picture.warnings, text))
