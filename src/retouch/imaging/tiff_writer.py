"""TIFF files of 8 or 16 bits a sample, which Pillow cannot write in colour: deflate with horizontal differences.

Source: TIFF revision 6.0, sections 2, 8, 14 (predictor) and 18 (extra samples); compression 8 is Adobe's deflate.
"""

import struct
import zlib

import numpy as np

from retouch.imaging.picture import Picture, Samples
from retouch.imaging.tiff_header import DESCRIPTION_TAG, ICC_TAG, RECORD_TAG

_STRIP_BYTES = 2**20
_SHORT, _LONG, _ASCII, _UNDEFINED = 3, 4, 2, 7
_SIZES = {_SHORT: 2, _LONG: 4, _ASCII: 1, _UNDEFINED: 1}
_CODES = {_SHORT: "H", _LONG: "I"}
_Entry = tuple[int, int, bytes]


def encode_tiff(picture: Picture, *, description: str, record: bytes) -> bytes:
    """Return a little-endian TIFF file of a picture, its profile and the two texts of its metadata."""
    samples = _interleaved(picture)
    rows = max(1, _STRIP_BYTES // max(1, samples[0].nbytes))
    strips = [_compressed(samples[top : top + rows]) for top in range(0, len(samples), rows)]
    offsets, position = [], 8
    for strip in strips:
        offsets.append(position)
        position += len(strip)
    entries = _entries(picture, samples.shape[2], rows, offsets, [len(strip) for strip in strips])
    if description:
        entries.append((DESCRIPTION_TAG, _ASCII, description.encode("utf-8") + b"\0"))
    if record:
        entries.append((RECORD_TAG, _UNDEFINED, record))
    padding = b"\0" * (position % 2)
    start = position + len(padding)
    body = b"".join(strips) + padding
    return struct.pack("<2sHI", b"II", 42, start) + body + _directory(sorted(entries), start)


def _interleaved(picture: Picture) -> Samples:
    """Return (H, W, C) of colours and alpha."""
    colours = picture.pixels if picture.pixels.ndim == 3 else picture.pixels[..., None]
    return colours if picture.alpha is None else np.concatenate((colours, picture.alpha[..., None]), axis=2)


def _compressed(rows: Samples) -> bytes:
    differences = rows.copy()
    # Unsigned samples wrap around, which is what the predictor asks for.
    differences[:, 1:] -= rows[:, :-1]
    return zlib.compress(differences.astype(rows.dtype.newbyteorder("<"), copy=False).tobytes(), 3)


def _entries(picture: Picture, channels: int, rows: int, offsets: list[int], counts: list[int]) -> list[_Entry]:
    is_colour = picture.pixels.ndim == 3
    entries = [
        (256, _LONG, _packed(_LONG, [picture.width])),
        (257, _LONG, _packed(_LONG, [picture.height])),
        (258, _SHORT, _packed(_SHORT, [picture.pixels.itemsize * 8] * channels)),
        (259, _SHORT, _packed(_SHORT, [8])),
        (262, _SHORT, _packed(_SHORT, [2 if is_colour else 1])),
        (273, _LONG, _packed(_LONG, offsets)),
        (277, _SHORT, _packed(_SHORT, [channels])),
        (278, _LONG, _packed(_LONG, [rows])),
        (279, _LONG, _packed(_LONG, counts)),
        (317, _SHORT, _packed(_SHORT, [2])),
    ]
    if picture.alpha is not None:
        entries.append((338, _SHORT, _packed(_SHORT, [2])))
    if picture.icc:
        entries.append((ICC_TAG, _UNDEFINED, picture.icc))
    return entries


def _packed(kind: int, values: list[int]) -> bytes:
    return struct.pack(f"<{len(values)}{_CODES[kind]}", *values)


def _directory(entries: list[_Entry], start: int) -> bytes:
    """Return the directory at file position `start`, with the values that do not fit into it behind."""
    head = struct.pack("<H", len(entries))
    behind = b""
    base = start + 2 + 12 * len(entries) + 4
    for tag, kind, content in entries:
        count = len(content) // _SIZES[kind]
        if len(content) <= 4:
            value = content.ljust(4, b"\0")
        else:
            value = struct.pack("<I", base + len(behind))
            behind += content + b"\0" * (len(content) % 2)
        head += struct.pack("<HHI", tag, kind, count) + value
    return head + struct.pack("<I", 0) + behind
