"""What a picture file claims about itself, read from its first bytes before anything is decoded.

Every number in a header is a claim by a stranger, so all reads are bounded: no loop here runs longer than a
small constant or the number of chunks that a format's own limit below allows.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from retouch.errors import ImageError, ImageFormatError, ImageTooLarge
from retouch.imaging.limits import DecodeLimits
from retouch.imaging.tiff_header import TiffHeader, read_tiff_header

SourceFormat = Literal["PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP"]

MAX_JPEG_SEGMENTS = 4_096
MAX_JPEG_SCANS = 100
"""A progressive picture has about ten scans; thousands of tiny ones make a small file slow."""
_JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])", re.DOTALL)
"""A marker with a segment behind it, or the end: not an escaped 0xFF of a scan, not a restart, not a fill byte."""


@dataclass(frozen=True, slots=True)
class Header:
    """The claims of a picture file that decide whether, and how, it is decoded.

    Attributes:
        format: by its magic bytes, whatever its name says.
        width: columns as stored, before any orientation.
        height: rows as stored.
        bits: bits of one sample.
        is_animated: it holds more than one picture.
        tiff: the first directory of a TIFF file, else None.
    """

    format: SourceFormat
    width: int
    height: int
    bits: int = 8
    is_animated: bool = False
    tiff: TiffHeader | None = None


_OTHERS = {
    b"GIF8": "GIF",
    b"8BPS": "Photoshop",
    b"%PDF": "PDF",
    b"<svg": "SVG",
    b"<?xml": "SVG",
    b"ftyphei": "HEIC",
    b"ftypmif1": "HEIC",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
}
"""What other files that people send as pictures begin with, at most four bytes on."""


def read_header(data: bytes) -> Header:
    """Read the header of an encoded picture.

    Raises:
        ImageFormatError: the bytes are none of the formats that can be read.
        ImageError: they begin as one, but the header is broken.
    """
    for is_kind, read in _KINDS:
        if is_kind(data):
            try:
                return read(data)
            except (struct.error, IndexError) as error:
                raise ImageError("the picture file ends inside its header", hint="send the whole file") from error
    raise ImageFormatError(
        _refusal(data) if data else "the picture file is empty",
        hint="use PNG, JPEG, WebP, AVIF, TIFF or BMP",
    )


def _refusal(data: bytes) -> str:
    known = (name for magic, name in _OTHERS.items() if magic in data[: len(magic) + 4])
    return next((f"{name} files cannot be read" for name in known), "the bytes are not a picture that can be read")


def check_size(width: int, height: int, limits: DecodeLimits) -> None:
    """Compare a picture's size with the limits.

    Raises:
        ImageError: a side is zero, negative or below the smallest.
        ImageTooLarge: the pixels or a side are over their limit.
    """
    if width < 1 or height < 1:
        raise ImageError("the picture has no pixels", hint="send a picture of at least 1x1")
    if min(width, height) < limits.image_min_side:
        raise ImageError(
            f"the picture is {width}x{height}", hint=f"sides of {limits.image_min_side} or more are needed"
        )
    if max(width, height) > limits.image_side:
        raise ImageTooLarge(f"the picture is {width}x{height}", hint=f"at most {limits.image_side} pixels a side")
    if width * height > limits.image_pixels:
        raise ImageTooLarge(
            f"the picture is {width}x{height}", hint=f"at most {limits.image_pixels} pixels in all"
        )


def _read_png(data: bytes) -> Header:
    length, name, width, height, bits = struct.unpack_from(">I4sIIB", data, 8)
    if name != b"IHDR" or length != 13:
        raise ImageError("the PNG file does not begin with its header", hint="save the picture again")
    return Header("PNG", width, height, bits, is_animated=b"acTL" in data[:4096])


def _read_jpeg(data: bytes) -> Header:
    position = 2
    for _ in range(MAX_JPEG_SEGMENTS):
        while data[position] == 0xFF and data[position + 1] == 0xFF:
            position = _skip_fill(data, position)
        mark, marker, length = struct.unpack_from(">BBH", data, position)
        if mark != 0xFF:
            break
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            bits, height, width = struct.unpack_from(">BHH", data, position + 4)
            _check_scans(data, position)
            return _checked_jpeg(width, height, bits)
        if marker == 0xDA:
            break
        position += 2 + length
    raise ImageError("the JPEG file has no frame header", hint="save the picture again")


def _skip_fill(data: bytes, position: int) -> int:
    """Return the position of the last 0xFF of a run, found in one call rather than in a loop over bytes."""
    run = data[position : position + 65_536]
    return position + max(1, len(run) - len(run.lstrip(b"\xff")) - 1)


def _check_scans(data: bytes, frame: int) -> None:
    """Count the scans of the frame at `frame` up to its end: what follows it, such as a video, is no matter."""
    if data.count(b"\xff\xda", frame) <= MAX_JPEG_SCANS:
        return
    position, scans = frame, 0
    for _ in range(MAX_JPEG_SEGMENTS):
        marker = _JPEG_MARKER.search(data, position)
        if marker is None or marker[1] == b"\xd9":
            return
        scans += marker[1] == b"\xda"
        if scans > MAX_JPEG_SCANS:
            break
        (length,) = struct.unpack_from(">H", data, marker.end())
        position = marker.end() + length
    raise ImageError("the JPEG file has too many scans", hint="save it as baseline JPEG or PNG")


def _checked_jpeg(width: int, height: int, bits: int) -> Header:
    if bits != 8:
        raise ImageFormatError(
            f"JPEG with {bits} bits a sample cannot be read", hint="save it as 16-bit PNG or TIFF"
        )
    return Header("JPEG", width, height)


def _read_webp(data: bytes) -> Header:
    kind = data[12:16]
    if kind == b"VP8X":
        flags = data[20]
        width = 1 + int.from_bytes(data[24:27], "little")
        height = 1 + int.from_bytes(data[27:30], "little")
        return Header("WEBP", width, height, is_animated=bool(flags & 0x02))
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return Header("WEBP", 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return Header("WEBP", width & 0x3FFF, height & 0x3FFF)
    raise ImageError("the WebP file holds no picture", hint="save the picture again")


def _read_avif(data: bytes) -> Header:
    """Read the largest size that any item of the file claims; the decoder's own answer is checked again later."""
    sizes: list[tuple[int, int]] = []
    position = data.find(b"ispe")
    while position >= 0 and len(sizes) < 256:
        sizes.append(struct.unpack_from(">II", data, position + 8))
        position = data.find(b"ispe", position + 4)
    if not sizes:
        raise ImageError("the AVIF file does not name its size", hint="save the picture again")
    config = data.find(b"av1C")
    deep = config >= 0 and bool(data[config + 6] & 0x40)
    return Header(
        "AVIF",
        max(width for width, _ in sizes),
        max(height for _, height in sizes),
        bits=10 if deep else 8,
        is_animated=data[8:12] == b"avis",
    )


def _read_tiff(data: bytes) -> Header:
    tiff = read_tiff_header(data)
    return Header("TIFF", tiff.width, tiff.height, max(tiff.bits), is_animated=tiff.has_more_pages, tiff=tiff)


def _read_bmp(data: bytes) -> Header:
    (header_size,) = struct.unpack_from("<I", data, 14)
    if header_size == 12:
        width, height = struct.unpack_from("<HH", data, 18)
        return Header("BMP", width, height)
    width, height, _, _, compression = struct.unpack_from("<iiHHI", data, 18)
    if compression not in (0, 3, 6):
        # Run-length rows are expanded in a slow loop, so that a small file could keep a core busy.
        raise ImageFormatError("compressed BMP files cannot be read", hint="save the picture as PNG")
    return Header("BMP", width, abs(height))


def _is_avif(data: bytes) -> bool:
    size = int.from_bytes(data[:4], "big")
    brands = data[8 : min(size, 256)]
    return data[4:8] == b"ftyp" and (b"avif" in brands or b"avis" in brands)


_KINDS: tuple[tuple[Callable[[bytes], bool], Callable[[bytes], Header]], ...] = (
    (lambda data: data[:8] == b"\x89PNG\r\n\x1a\n", _read_png),
    (lambda data: data[:3] == b"\xff\xd8\xff", _read_jpeg),
    (lambda data: data[:4] == b"RIFF" and data[8:12] == b"WEBP", _read_webp),
    (_is_avif, _read_avif),
    (lambda data: data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), _read_tiff),
    (lambda data: data[:2] == b"BM", _read_bmp),
)
