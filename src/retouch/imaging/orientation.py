"""EXIF orientation: applied to the samples, then reset in the bytes that are kept.

The EXIF block is edited in place rather than written anew: every other tag keeps its bytes and its offset.
Source: Exif 2.32, sections 4.5 and 4.6; tag 0x0112 of TIFF revision 6.0.
"""

import struct

import numpy as np

from retouch.imaging.picture import Samples

MAX_EXIF_BYTES = 2**20
_PREFIX = b"Exif\0\0"
_ORIENTATION, _THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH = 0x0112, 0x0201, 0x0202
_SHORT, _LONG = 3, 4


def turn(samples: Samples, orientation: int) -> Samples:
    """Return the samples (H, W) or (H, W, C) as EXIF `orientation` (1..8) says they are to be seen."""
    turned = samples[:, ::-1] if orientation in (2, 3, 7, 8) else samples
    if orientation in (3, 4, 6, 7):
        turned = turned[::-1]
    if orientation >= 5:
        turned = turned.swapaxes(0, 1)
    return np.ascontiguousarray(turned)


def clean_exif(block: bytes | None) -> tuple[bytes | None, int]:
    """Return an EXIF block with orientation 1 and no thumbnail, and the orientation that it held.

    Args:
        block: with or without the leading `Exif\\0\\0`, as JPEG or PNG files hold it.
    Returns:
        The block without that prefix, or None where it is absent, broken or larger than a MiB; and 1..8.
    """
    if not block or len(block) > MAX_EXIF_BYTES:
        return None, 1
    exif = bytearray(block.removeprefix(_PREFIX))
    try:
        orientation = _edit(exif)
    except struct.error:
        return None, 1
    return bytes(exif), orientation


def _edit(exif: bytearray) -> int:
    """Reset the orientation and wipe the thumbnail of a block; return the orientation it had."""
    if not exif.startswith((b"II*\0", b"MM\0*")):
        raise struct.error("no TIFF header")
    order = "<" if exif[:1] == b"I" else ">"
    (start,) = struct.unpack_from(order + "I", exif, 4)
    orientation = 1
    for tag, kind, where in _entries(exif, order, start):
        if tag == _ORIENTATION and kind == _SHORT:
            (value,) = struct.unpack_from(order + "H", exif, where)
            orientation = value if 1 <= value <= 8 else 1
            struct.pack_into(order + "HH", exif, where, 1, 0)
    (count,) = struct.unpack_from(order + "H", exif, start)
    end = start + 2 + 12 * count
    if end + 4 <= len(exif):
        (second,) = struct.unpack_from(order + "I", exif, end)
        struct.pack_into(order + "I", exif, end, 0)
        if second:
            _wipe(exif, order, second)
    return orientation


def _entries(exif: bytearray, order: str, start: int) -> list[tuple[int, int, int]]:
    """Return (tag, type, position of the value) of each entry of a directory."""
    (count,) = struct.unpack_from(order + "H", exif, start)
    found = []
    for index in range(count):
        position = start + 2 + 12 * index
        tag, kind = struct.unpack_from(order + "HH", exif, position)
        found.append((tag, kind, position + 8))
    return found


def _wipe(exif: bytearray, order: str, start: int) -> None:
    """Overwrite the thumbnail's directory and its JPEG bytes with zeros: it shows the picture as it was."""
    try:
        entries = _entries(exif, order, start)
    except struct.error:
        return
    values = {}
    for tag, kind, where in entries:
        if tag in (_THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH):
            (values[tag],) = struct.unpack_from(order + ("H" if kind == _SHORT else "I"), exif, where)
    offset, length = values.get(_THUMBNAIL_OFFSET, 0), values.get(_THUMBNAIL_LENGTH, 0)
    end = min(offset + length, len(exif))
    if offset > start:
        exif[offset:end] = bytes(max(0, end - offset))
        if end == len(exif):
            del exif[offset:]
    directory_end = min(start + 2 + 12 * len(entries) + 4, len(exif))
    exif[start:directory_end] = bytes(directory_end - start)
