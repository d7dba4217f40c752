"""The first directory of a TIFF file, read within bounds.

Source: TIFF revision 6.0, sections 2 and 8; the BigTIFF variant by its published header layout.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from retouch.errors import ImageError, ImageFormatError
from retouch.imaging.limits import is_padded

MAX_TAGS = 4_096
COMPRESSIONS = (1, 2, 3, 4, 5, 7, 8, 32773, 32946, 50000)
"""None, CCITT's three, LZW, JPEG, deflate, PackBits, deflate's old number and Zstandard: all of bounded memory.

LZMA is not: its streams name the size of a dictionary, up to 4 GiB.
"""

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_ORIENTATION, _SAMPLES, _PLANAR, _TILE_WIDTH, _TILE_HEIGHT, _EXTRA, _FORMAT = 274, 277, 284, 322, 323, 338, 339
ICC_TAG, DESCRIPTION_TAG, RECORD_TAG = 34_675, 270, 65_001
"""The last is private: the record of a result (TIFF 6.0 leaves 65000 and above to anyone)."""

_KNOWN = {
    *(_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _ORIENTATION, _SAMPLES, _PLANAR),
    *(_TILE_WIDTH, _TILE_HEIGHT, _EXTRA, _FORMAT),
}
_TYPES = {1: "B", 3: "H", 4: "I", 16: "Q"}


@dataclass(frozen=True, slots=True)
class TiffHeader:
    """What the first directory says; the names are the format's own.

    Attributes:
        width, height: as stored, before orientation.
        bits: of each sample.
        compression: 1 none, 5 LZW, 8 deflate, ...
        photometric: 0 white is zero, 1 black is zero, 2 RGB, 3 palette, 5 CMYK, 6 YCbCr.
        orientation: 1..8.
        samples: of each pixel, extra ones included.
        planar: 1 interleaved, 2 one plane a sample.
        extra: meaning of each extra sample: 0 unknown, 1 premultiplied alpha, 2 alpha.
        sample_format: of each sample: 1 unsigned, 2 signed, 3 float.
        texts: the bytes of profile, description and record, by tag.
        has_more_pages: a second directory follows.
    """

    width: int
    height: int
    bits: tuple[int, ...]
    compression: int
    photometric: int
    orientation: int
    samples: int
    planar: int
    extra: tuple[int, ...]
    sample_format: tuple[int, ...]
    texts: Mapping[int, bytes]
    has_more_pages: bool


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where a TIFF variant keeps the numbers of a directory."""

    order: str
    count: str
    entry: str
    offset: str

    @property
    def entry_size(self) -> int:
        return struct.calcsize(self.order + self.entry)

    @property
    def inline_size(self) -> int:
        return struct.calcsize(self.order + self.offset)


def read_tiff_header(data: bytes) -> TiffHeader:
    """Read the first directory of a TIFF or BigTIFF file.

    Raises:
        ImageError: the directory is broken or ambiguous, or its tiles are far larger than the picture.
        ImageFormatError: samples that are not whole numbers of 0 and above.
    """
    layout, start = _open(data)
    (count,) = struct.unpack_from(layout.order + layout.count, data, start)
    if count > MAX_TAGS:
        raise ImageError(f"the TIFF directory has {count} entries", hint="save the picture again")
    first = start + struct.calcsize(layout.order + layout.count)
    tags: dict[int, tuple[int, ...]] = {}
    texts: dict[int, bytes] = {}
    for index in range(count):
        position = first + index * layout.entry_size
        tag, kind, length = struct.unpack_from(layout.order + "HH" + layout.entry[2], data, position)
        where = position + layout.entry_size - layout.inline_size
        if tag in _KNOWN:
            if tag in tags or kind not in _TYPES:
                # Another reader might take the other entry, or the number that is hidden here.
                raise ImageError(f"the TIFF directory is ambiguous about tag {tag}", hint="save the picture again")
            tags[tag] = _values(data, layout, kind, min(length, 16), where)
        elif tag in (ICC_TAG, DESCRIPTION_TAG, RECORD_TAG):
            texts[tag] = _bytes(data, layout, length, where)
    (following,) = struct.unpack_from(layout.order + layout.offset, data, first + count * layout.entry_size)
    return _header(tags, texts, has_more_pages=following != 0)


def _open(data: bytes) -> tuple[_Layout, int]:
    order = "<" if data[:2] == b"II" else ">"
    if data[2:4] in (b"+\0", b"\0+"):
        layout = _Layout(order, "Q", "HHQQ", "Q")
        (start,) = struct.unpack_from(order + "Q", data, 8)
    else:
        layout = _Layout(order, "H", "HHII", "I")
        (start,) = struct.unpack_from(order + "I", data, 4)
    if start >= len(data):
        raise ImageError("the TIFF directory lies outside the file", hint="send the whole file")
    return layout, start


def _position(data: bytes, layout: _Layout, size: int, where: int) -> int:
    if size <= layout.inline_size:
        return where
    (offset,) = struct.unpack_from(layout.order + layout.offset, data, where)
    if offset + size > len(data):
        raise ImageError("a TIFF entry points outside the file", hint="send the whole file")
    return int(offset)


def _values(data: bytes, layout: _Layout, kind: int, length: int, where: int) -> tuple[int, ...]:
    code = f"{layout.order}{length}{_TYPES[kind]}"
    return struct.unpack_from(code, data, _position(data, layout, struct.calcsize(code), where))


def _bytes(data: bytes, layout: _Layout, length: int, where: int) -> bytes:
    start = _position(data, layout, length, where)
    return data[start : start + length]


def _header(tags: dict[int, tuple[int, ...]], texts: Mapping[int, bytes], *, has_more_pages: bool) -> TiffHeader:
    def one(tag: int, default: int) -> int:
        return (tags.get(tag) or (0,))[0] or default

    sample_format = tags.get(_FORMAT) or (1,)
    if any(kind not in (1, 4) for kind in sample_format):
        raise ImageFormatError(
            "the TIFF file holds floating-point or signed samples",
            hint="convert it to 8 or 16 bits a sample, 0 being black",
        )
    tile_pixels = one(_TILE_WIDTH, 0) * one(_TILE_HEIGHT, 0)
    if is_padded(tile_pixels, one(_WIDTH, 0) * one(_HEIGHT, 0)):
        raise ImageError("the TIFF file's tiles are larger than its picture", hint="save the picture again")
    return TiffHeader(
        width=one(_WIDTH, 0),
        height=one(_HEIGHT, 0),
        bits=tags.get(_BITS) or (1,),
        compression=one(_COMPRESSION, 1),
        photometric=one(_PHOTOMETRIC, 0),
        orientation=one(_ORIENTATION, 1),
        samples=one(_SAMPLES, 1),
        planar=one(_PLANAR, 1),
        extra=tags.get(_EXTRA) or (),
        sample_format=sample_format,
        texts=texts,
        has_more_pages=has_more_pages,
    )
