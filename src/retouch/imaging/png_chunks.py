"""The chunks of a PNG file: walked within bounds, cut down to what the pixels need, and put together again.

Text never reaches a decoder: a lean copy of the file holds nothing but header, palette and pixels, so a bomb in
a comment has nobody to explode on. Source: PNG specification, third edition, sections 5 and 11.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from retouch.errors import ImageError
from retouch.imaging.png_colour import COLOUR_CHUNKS

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_CHUNKS = 100_000
MAX_OTHER_CHUNKS = 2_000
MAX_ICC_BYTES = 4 * 2**20

_FRAMES = (b"IDAT", b"fdAT", b"fcTL")
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_MODES = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}
_DEEP_MODES = {0: "I;16", 2: "RGB;16", 4: "LA;16", 6: "RGBA;16"}
_HEADER_END = 33
_KEPT = (b"IHDR", b"PLTE", b"IDAT")
_INCH = 0.0254
"""In metres."""


@dataclass(frozen=True, slots=True)
class LeanPng:
    """What a PNG file holds for us.

    Attributes:
        data: a PNG file of the critical chunks alone, with `tRNS` for palettes only.
        mode: of the samples, in Pillow's words.
        bits: of one sample: 1, 2, 4, 8 or 16.
        channels: of a decoded pixel: colours, and alpha where the samples or the palette hold it.
        colour_key: the sample (grey) or samples (RGB) that stand for transparent, in the file's own depth.
        icc: the embedded profile, byte for byte.
        exif: the EXIF block, byte for byte.
        colours: the content of the chunks that say what the samples stand for, by name.
        dpi: dots per inch, across and down, where the file tells.
        is_animated: it holds more frames than the first.
        is_icc_broken: it has a profile that cannot be read.
    """

    data: bytes
    mode: str
    bits: int
    channels: int
    colour_key: tuple[int, ...] | None
    icc: bytes | None
    exif: bytes | None
    colours: Mapping[bytes, bytes]
    dpi: tuple[float, float] | None
    is_animated: bool
    is_icc_broken: bool = False


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield (name, start, end) of the content of each chunk, up to `IEND`.

    Raises:
        ImageError: the file ends early, or has more chunks than any honest one.
    """
    position, others = len(SIGNATURE), 0
    for _ in range(MAX_CHUNKS):
        if position + 12 > len(data):
            raise ImageError("the PNG file is cut short", hint="send the whole file")
        length, name = struct.unpack_from(">I4s", data, position)
        start, end = position + 8, position + 8 + length
        if end + 4 > len(data):
            raise ImageError("the PNG file is cut short", hint="send the whole file")
        others += name not in _FRAMES
        if others > MAX_OTHER_CHUNKS:
            break
        yield name, start, end
        if name == b"IEND":
            return
        position = end + 4
    raise ImageError("the PNG file has too many chunks", hint="save the picture again")


def lean_png(data: bytes) -> LeanPng:
    """Cut a PNG file down to its pixels, and read profile, EXIF and colour key beside them.

    Raises:
        ImageError: the file is cut short, has too many chunks, or a profile larger than `MAX_ICC_BYTES`.
    """
    if len(data) < _HEADER_END:
        raise ImageError("the PNG file is cut short", hint="send the whole file")
    bits, colour_type = data[24], data[25]
    if bits not in _DEPTHS.get(colour_type, ()):
        raise ImageError("the PNG file has an impossible header", hint="save the picture again")
    parts = [SIGNATURE]
    icc = exif = colour_key = dpi = None
    colours: dict[bytes, bytes] = {}
    frames, is_icc_broken = 1, False
    for name, start, end in chunks(data):
        if name in _KEPT or (name == b"tRNS" and colour_type == 3):
            parts.append(data[start - 8 : end + 4])
        elif name == b"tRNS" and colour_type in (0, 2):
            size = 1 if colour_type == 0 else 3
            colour_key = struct.unpack_from(f">{size}H", data[start:end].ljust(6, b"\0"))
        elif name == b"iCCP" and icc is None:
            icc = _profile(data[start:end])
            is_icc_broken = icc is None
        elif name == b"eXIf" and exif is None:
            exif = data[start:end]
        elif COLOUR_CHUNKS.get(name) == end - start:
            colours.setdefault(name, data[start:end])
        elif name == b"pHYs" and end - start == 9:
            dpi = _dpi(data[start:end])
        elif name == b"acTL" and end - start >= 4:
            (frames,) = struct.unpack_from(">I", data, start)
    kept = {part[4:8] for part in parts}
    if b"IDAT" not in kept or (colour_type == 3 and b"PLTE" not in kept):
        raise ImageError("the PNG file lacks its pixels or its palette", hint="save the picture again")
    parts.append(chunk(b"IEND", b""))
    mode = _MODES[colour_type] if bits < 16 else _DEEP_MODES[colour_type]
    channels = _CHANNELS[colour_type] + (b"tRNS" in kept)
    data = b"".join(parts)
    return LeanPng(data, mode, bits, channels, colour_key, icc, exif, colours, dpi, frames > 1, is_icc_broken)


def chunk(name: bytes, content: bytes) -> bytes:
    """Return one chunk: length, name, content, CRC."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def density_chunk(dpi: tuple[float, float]) -> bytes:
    """Return the chunk that tells the dots per inch, which PNG counts by the metre."""
    return chunk(b"pHYs", struct.pack(">IIB", *(round(one / _INCH) for one in dpi), 1))


def _dpi(content: bytes) -> tuple[float, float] | None:
    across, down, unit = struct.unpack(">IIB", content)
    return (across * _INCH, down * _INCH) if across and down and unit == 1 else None


def inflate(data: bytes, limit: int) -> bytes | None:
    """Inflate a zlib stream; None where it is broken or longer than `limit` bytes."""
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(data, limit + 1)
    except zlib.error:
        return None
    return content if len(content) <= limit and stream.eof else None


def _profile(content: bytes) -> bytes | None:
    """Return the profile of an iCCP chunk, None where it is broken; a bomb is refused with the whole file."""
    _, _, rest = content.partition(b"\0")
    stream = zlib.decompressobj()
    try:
        profile = stream.decompress(rest[1:], MAX_ICC_BYTES + 1)
    except zlib.error:
        return None
    if len(profile) > MAX_ICC_BYTES:
        raise ImageError("the colour profile is too large", hint="save the picture without it")
    return profile if stream.eof else None
