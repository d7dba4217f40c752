"""A stranger's EXIF block, made fit to be kept beside another picture.

The block is edited in place rather than written anew: every other tag keeps its bytes and its offset, and nothing
in it can make a reader work. Source: Exif 2.32, sections 4.5 and 4.6; TIFF revision 6.0, section 2.
"""

import struct
from dataclasses import dataclass
from typing import NamedTuple

from retouch.imaging.exif_block import EXIF_IFD, USER_COMMENT, comment_text
from retouch.imaging.tiff_header import RECORD_TAG

MAX_EXIF_BYTES = 2**20
_PREFIX = b"Exif\0\0"
_ORIENTATION, _THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH = 0x0112, 0x0201, 0x0202
_WHOLE_NUMBERS = {3: "H", 4: "I", 8: "h", 9: "i", 13: "I"}
_SIZES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_OUR_MARK = "Version: retouch "


class CleanExif(NamedTuple):
    """What is left of an EXIF block, without the leading `Exif\\0\\0`; None where nothing is.

    Attributes:
        orientation: 1..8, as the block said, kept or not.
        is_dropped: it held something, but is broken or larger than a MiB.
    """

    block: bytes | None
    orientation: int = 1
    is_dropped: bool = False


def clean_exif(block: bytes | None) -> CleanExif:
    """Reset an EXIF block's orientation; wipe its thumbnail, and what an earlier result says about its making.

    Args:
        block: with or without the leading `Exif\\0\\0`, as JPEG or PNG files hold it.
    """
    exif = bytearray((block or b"").removeprefix(_PREFIX))
    if not exif:
        return CleanExif(None)
    orientation = 1
    try:
        first = _first_directory(exif)
        orientation = _reset_orientation(exif, first)
        _wipe_thumbnail(exif, first)
        _wipe_ours(exif, first)
    except struct.error:
        return CleanExif(None, orientation, is_dropped=True)
    if len(exif) > MAX_EXIF_BYTES:
        return CleanExif(None, orientation, is_dropped=True)
    return CleanExif(bytes(exif) or None, orientation)


class _Entry(NamedTuple):
    """One entry of a directory; `where` is the position of its value, or of the offset of a longer one."""

    kind: int
    length: int
    where: int


@dataclass(frozen=True, slots=True)
class _Directory:
    """One directory of a block.

    Attributes:
        order: of bytes, `<` or `>`.
        start: of the number of its entries.
        end: where its entries end, by that number; the offset of the next directory follows.
        entries: those within the block by tag; of several with one tag the last, as Pillow takes them.
    """

    order: str
    start: int
    end: int
    entries: dict[int, _Entry]

    def number(self, exif: bytearray, tag: int) -> int | None:
        """Return the whole number that an entry holds, None where there is no such entry."""
        entry = self.entries.get(tag)
        if entry is None or entry.length != 1 or entry.kind not in _WHOLE_NUMBERS:
            return None
        (value,) = struct.unpack_from(self.order + _WHOLE_NUMBERS[entry.kind], exif, entry.where)
        return int(value)

    def span(self, exif: bytearray, tag: int) -> tuple[int, int]:
        """Return where the value of an entry begins and ends; nowhere where there is no such entry."""
        entry = self.entries.get(tag)
        if entry is None:
            return 0, 0
        size = entry.length * _SIZES.get(entry.kind, 1)
        start = entry.where
        if size > 4:
            (start,) = struct.unpack_from(self.order + "I", exif, entry.where)
        return start, min(start + size, len(exif))

    def take_out(self, exif: bytearray, *tags: int) -> None:
        """Close the ranks over some entries; what is gained stays behind the directory as zeros."""
        old = exif[self.start + 2 : self.end]
        rows = [old[place : place + 12] for place in range(0, len(old) - 11, 12)]
        kept = [row for row in rows if struct.unpack_from(self.order + "H", row)[0] not in tags]
        whole = struct.pack(self.order + "H", len(kept)) + b"".join(kept) + exif[self.end : self.end + 4]
        end = min(self.end + 4, len(exif))
        exif[self.start : end] = whole.ljust(end - self.start, b"\0")


def _first_directory(exif: bytearray) -> _Directory:
    if not exif.startswith((b"II*\0", b"MM\0*")):
        raise struct.error("no TIFF header")
    order = "<" if exif[:1] == b"I" else ">"
    return _directory(exif, order, struct.unpack_from(order + "I", exif, 4)[0])


def _directory(exif: bytearray, order: str, start: int) -> _Directory:
    """Read the entries of a directory one by one, as far as the block goes."""
    (count,) = struct.unpack_from(order + "H", exif, start)
    entries = {}
    for position in range(start + 2, min(start + 2 + 12 * count, len(exif) - 11), 12):
        tag, kind, length = struct.unpack_from(order + "HHI", exif, position)
        entries[tag] = _Entry(kind, length, position + 8)
    return _Directory(order, start, start + 2 + 12 * count, entries)


def _reset_orientation(exif: bytearray, first: _Directory) -> int:
    """Set the orientation to 1; return the one that was there."""
    orientation = first.number(exif, _ORIENTATION)
    if orientation is None:
        return 1
    entry = first.entries[_ORIENTATION]
    exif[entry.where : entry.where + 4] = struct.pack(first.order + _WHOLE_NUMBERS[entry.kind], 1).ljust(4, b"\0")
    return orientation if 1 <= orientation <= 8 else 1


def _wipe_thumbnail(exif: bytearray, first: _Directory) -> None:
    """Overwrite the second directory and the JPEG bytes it names with zeros: they show the picture as it was."""
    if first.end > len(exif):
        # Where the thumbnail is cannot be told.
        raise struct.error("the directory is cut short")
    if first.end + 4 > len(exif):
        return
    (second,) = struct.unpack_from(first.order + "I", exif, first.end)
    struct.pack_into(first.order + "I", exif, first.end, 0)
    if not 0 < second < len(exif) - 1:
        return
    directory = _directory(exif, first.order, second)
    offset = directory.number(exif, _THUMBNAIL_OFFSET) or 0
    length = directory.number(exif, _THUMBNAIL_LENGTH) or 0
    if offset > second:
        _blank(exif, offset, offset + length)
    _blank(exif, second, directory.end + 4)


def _wipe_ours(exif: bytearray, first: _Directory) -> None:
    """Remove record and parameters of an earlier result, and with them whatever they leave empty.

    A JPEG whose record did not fit is known by the parameters alone.
    """
    start = first.number(exif, EXIF_IFD)
    camera = None if start is None or not 0 < start < len(exif) - 1 else _directory(exif, first.order, start)
    comment = (0, 0) if camera is None else camera.span(exif, USER_COMMENT)
    if RECORD_TAG not in first.entries and _OUR_MARK not in comment_text(bytes(exif[slice(*comment)])):
        return
    record = first.span(exif, RECORD_TAG)
    gone = {RECORD_TAG}
    if camera is not None:
        camera.take_out(exif, USER_COMMENT)
        if camera.entries.keys() <= {USER_COMMENT}:
            gone.add(EXIF_IFD)
    first.take_out(exif, *gone)
    for span in (record, comment):
        _blank(exif, *span)
    if first.entries.keys() <= gone:
        exif.clear()


def _blank(exif: bytearray, start: int, end: int) -> None:
    """Overwrite bytes with zeros, or cut them off where nothing follows."""
    end = min(end, len(exif))
    if start < end:
        exif[start:end] = bytes(end - start)
        # A writer pads to an even length.
        if len(exif) - end <= 1:
            del exif[start:]
