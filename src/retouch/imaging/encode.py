"""From a `Picture` to the bytes of a file, the same bytes for the same picture."""

import io
import zlib
from dataclasses import replace

import imagecodecs
import numpy as np

from retouch.errors import ImageError, ImageFormatError, ImageTooLarge
from retouch.imaging.choices import FileFormat
from retouch.imaging.exif_block import MAX_TEXT_BYTES, exif_with
from retouch.imaging.flatten import laid_on
from retouch.imaging.metadata import PARAMETERS_KEY, RECORD_KEY, ResultMetadata
from retouch.imaging.picture import Picture
from retouch.imaging.png_chunks import chunk, density_chunk
from retouch.imaging.png_colour import are_srgb
from retouch.imaging.tiff_writer import encode_tiff
from retouch.imaging.to_pillow import to_pillow

MEDIA_TYPES: dict[FileFormat, str] = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "TIFF": "image/tiff",
}
DEFAULT_JPEG_QUALITY, DEFAULT_AVIF_QUALITY = 95, 90

_MAX_SIDES: dict[FileFormat, int] = {"JPEG": 65_500, "WEBP": 16_383, "AVIF": 65_535}
_MAX_EXIF_BYTES: dict[FileFormat, int] = {"JPEG": 65_000}
_NO_RECORD = "the metadata does not fit into {}: its record was left out"
_NO_EXIF = "the picture's EXIF cannot be written into {} and was left out"
_IHDR_END = 33
_EMPTY = ResultMetadata()


def encode_picture(
    picture: Picture,
    format: FileFormat = "PNG",
    *,
    metadata: ResultMetadata | None = None,
    quality: int | None = None,
) -> bytes:
    """Encode a picture, its profile, its EXIF and the metadata of a result.

    PNG and TIFF keep 16 bits and alpha; WebP is lossless unless a quality is given; JPEG and AVIF are lossy.
    What a format cannot hold is told by `encoding_warnings`.

    Args:
        format: of the file.
        metadata: None writes none.
        quality: 1..100 for JPEG, WebP and AVIF; the others ignore it.

    Raises:
        ImageFormatError: another format.
        ImageTooLarge: the format cannot hold a side of this length.
        ImageError: the quality is outside 1..100.
    """
    if format not in MEDIA_TYPES:
        raise ImageFormatError(
            f"pictures cannot be written as {format!r}", hint=f"one of: {', '.join(MEDIA_TYPES)}"
        )
    if quality is not None and not (isinstance(quality, int) and 1 <= quality <= 100):
        raise ImageError(f"quality is {quality!r}", hint="use a whole number from 1 to 100")
    check_sides(picture, format)
    metadata = _readable(metadata)
    if format == "PNG":
        return _encode_png(picture, metadata)
    if format == "TIFF":
        record = metadata.record_json().encode("utf-8")
        return encode_tiff(picture, description=metadata.parameters, record=record)
    return _encode_with_pillow(picture, format, metadata, quality)


def check_sides(picture: Picture, format: FileFormat) -> None:
    """Refuse a picture that is too long for a format: before the work, where the format is known.

    Raises:
        ImageTooLarge: the format cannot hold a side of this length.
    """
    longest = max(picture.height, picture.width)
    if longest > _MAX_SIDES.get(format, longest):
        raise ImageTooLarge(f"{format} cannot hold a side of {longest} pixels", hint="save it as PNG or TIFF")


def encoding_warnings(
    picture: Picture,
    format: FileFormat,
    *,
    metadata: ResultMetadata | None = None,
    quality: int | None = None,
) -> tuple[str, ...]:
    """Return what `encode_picture` with the same arguments does not keep, as sentences for a person."""
    found = []
    if format in ("JPEG", "AVIF") or (format == "WEBP" and quality is not None):
        found.append(f"{format} is lossy: kept pixels are identical in the result, no longer in this file")
    if picture.pixels.dtype == np.uint16 and format not in ("PNG", "TIFF"):
        found.append(f"{format} holds 8 bits a sample: the picture's 16 were rounded")
    if picture.alpha is not None and format == "JPEG":
        found.append("JPEG has no transparency: the picture was laid on white")
    if picture.exif and format == "TIFF":
        found.append("EXIF is not written to TIFF files")
    if format != "PNG" and not are_srgb(picture.png_colours, picture.icc):
        found.append(f"{format} does not hold what the PNG file says of its colours: they will look different")
    readable = _readable(metadata)
    if metadata and metadata.record and not readable.record:
        found.append("the metadata is too large to be read again: its record was left out")
    if format not in ("PNG", "TIFF"):
        found.extend(_exif(picture, format, readable)[1])
    return tuple(found)


def _encode_png(picture: Picture, metadata: ResultMetadata) -> bytes:
    planes = picture.pixels
    if picture.alpha is not None:
        planes = np.dstack((picture.pixels, picture.alpha))
    # Run lengths over differences within a row: several times faster than a search for repetitions, and on
    # photographs no larger.
    plain = bytes(imagecodecs.png_encode(np.ascontiguousarray(planes), level=1, strategy=3, filter=16))
    extra = [chunk(name, content) for name, content in picture.png_colours.items()]
    if picture.dpi:
        extra.append(density_chunk(picture.dpi))
    if picture.icc:
        extra.append(chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(picture.icc, 9)))
    if picture.exif:
        extra.append(chunk(b"eXIf", picture.exif))
    for key, text in ((PARAMETERS_KEY, metadata.parameters), (RECORD_KEY, metadata.record_json())):
        if text:
            # Keyword, no compression, no language, no translated keyword, text in UTF-8.
            extra.append(chunk(b"iTXt", key.encode() + b"\0\0\0\0\0" + text.encode("utf-8", "replace")))
    return plain[:_IHDR_END] + b"".join(extra) + plain[_IHDR_END:]


def _encode_with_pillow(
    picture: Picture, format: FileFormat, metadata: ResultMetadata, quality: int | None
) -> bytes:
    options: dict[str, object] = {}
    exif, _ = _exif(picture, format, metadata)
    if format == "JPEG":
        picture = replace(picture, pixels=laid_on(picture, 255), alpha=None)
        options = {"quality": quality or DEFAULT_JPEG_QUALITY, "subsampling": 0, "dpi": _jpeg_dpi(picture)}
    elif format == "AVIF":
        options = {
            "quality": quality or DEFAULT_AVIF_QUALITY,
            "subsampling": "4:4:4",
            "speed": 8,
            "max_threads": 1,
        }
    elif quality is None:
        options = {"lossless": True, "exact": True, "method": 0, "quality": 25}
    else:
        options = {"quality": quality, "exact": True}
    if exif:
        options["exif"] = b"Exif\0\0" + exif
    file = io.BytesIO()
    try:
        to_pillow(picture).save(file, format, icc_profile=picture.icc, **options)
    except (OSError, ValueError) as error:
        raise ImageError(f"the picture cannot be written as {format}", hint="save it as PNG") from error
    return file.getvalue()


def _jpeg_dpi(picture: Picture) -> tuple[int, int]:
    """Return whole dots per inch, 0 where they are not told or do not fit."""
    across, down = (round(one) for one in picture.dpi or (0, 0))
    return (across, down) if 0 < across < 2**16 and 0 < down < 2**16 else (0, 0)


def _readable(metadata: ResultMetadata | None) -> ResultMetadata:
    """Return metadata that `read_metadata` can read again: without a record that is larger than it takes."""
    if metadata and len(metadata.record_json().encode()) > MAX_TEXT_BYTES:
        return replace(metadata, record={})
    return metadata or _EMPTY


def _exif(picture: Picture, format: FileFormat, metadata: ResultMetadata) -> tuple[bytes, tuple[str, ...]]:
    """Return the EXIF that a file of the format can hold, and a sentence for each thing left out of it."""
    limit = _MAX_EXIF_BYTES.get(format)
    record = metadata.record_json().encode()
    parameters = metadata.parameters
    for exif, text, kept, lost in (
        (picture.exif, parameters, record, ()),
        (picture.exif, parameters, b"", (_NO_RECORD,)),
        (None, parameters, record, (_NO_EXIF,)),
        (None, parameters, b"", (_NO_RECORD, _NO_EXIF)),
    ):
        try:
            block = exif_with(exif, parameters=text, record=kept)
        except ImageError:
            continue
        if limit is None or len(block) <= limit:
            missing = {_NO_RECORD: record, _NO_EXIF: picture.exif}
            return block, tuple(sentence.format(format) for sentence in lost if missing[sentence])
    return b"", (f"the metadata does not fit into {format} and was left out",)
