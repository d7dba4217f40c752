"""TIFF and AVIF files and colour profiles, honest or not, put together from their parts."""

import io
import struct
import zlib
from dataclasses import replace

import numpy as np
from PIL import Image

from retouch.imaging.isobmff import Item, Property, read_items, write_items


def tiff_file(entries: list[tuple[int, int, int, int]], *, following: int = 0, tail: bytes = b"") -> bytes:
    """Return a little-endian TIFF file of one directory of (tag, type, count, value)."""
    body = struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHI", tag, kind, count) + struct.pack("<I", value) for tag, kind, count, value in entries
    )
    return b"II*\0" + struct.pack("<I", 8) + body + struct.pack("<I", following) + tail


def tiff_entries(width: int, height: int, *, bits: int = 8, sample_format: int = 1, offset: int = 8) -> list:
    size = width * height * bits // 8
    return [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, bits),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, offset),
        (277, 3, 1, 1),
        (278, 4, 1, height),
        (279, 4, 1, min(size, 2**32 - 1)),
        (339, 3, 1, sample_format),
    ]


def deflated_tiff16(
    width: int, height: int, *, block_rows: int, again: list | None = None, samples: int = 1
) -> bytes:
    """Return a 16-bit TIFF file of zeros whose strips are one block; `again` come a second time."""
    block = zlib.compress(bytes(block_rows * width * samples * 2), 9)
    strips = height // block_rows
    places = [("offsets", strips), ("sizes", strips)]
    entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 16),
        (259, 3, 1, 8),
        (262, 3, 1, 1),
        (273, 4, *places[0][::-1]),
        (277, 3, 1, samples),
        (278, 4, 1, block_rows),
        (279, 4, *places[1][::-1]),
        *(again or []),
    ]
    behind = 8 + 2 + 12 * len(entries) + 4
    where = {"offsets": behind, "sizes": behind + 4 * strips}
    numbers = struct.pack(f"<{strips}I", *[behind + 8 * strips] * strips) + struct.pack(
        f"<{strips}I", *[len(block)] * strips
    )
    return tiff_file([(*entry[:3], where.get(entry[3], entry[3])) for entry in entries], tail=numbers + block)


def tiled_tiff16(tile_width: int, tile_height: int, *, bits: int = 16, size: int = 8) -> bytes:
    """Return a TIFF file of one deflated tile of zeros."""
    tile = zlib.compress(bytes(tile_width * tile_height * bits // 8), 9)
    entries = [
        (256, 4, 1, size),
        (257, 4, 1, size),
        (258, 3, 1, bits),
        (259, 3, 1, 8),
        (262, 3, 1, 1),
        (277, 3, 1, 1),
        (322, 4, 1, tile_width),
        (323, 4, 1, tile_height),
        (324, 4, 1, 8 + 2 + 12 * 10 + 4),
        (325, 4, 1, len(tile)),
    ]
    return tiff_file(entries, tail=tile)


def cmyk_profile(elements: int = 0) -> bytes:
    """Return a colour profile from CMYK to Lab; with a list of `elements` processing steps that are all one."""
    ramp = bytes(range(256))
    table = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + struct.pack(">9i", *[65_536, 0, 0, 0] * 2, 65_536)
    tags = [(b"A2B0", table + ramp * 4 + bytes(range(48)) + ramp * 3)]
    if elements:
        step = b"matf" + bytes(4) + struct.pack(">HH20f", 4, 4, *[0.0] * 20)
        last = b"matf" + bytes(4) + struct.pack(">HH15f", 4, 3, *[0.0] * 15)
        start = 16 + 8 * (elements + 1)
        places = struct.pack(">II", start, len(step)) * elements + struct.pack(">II", start + len(step), len(last))
        tags.append((b"D2B0", b"mpet" + struct.pack(">IHHI", 0, 4, 3, elements + 1) + places + step + last))
    start = 128 + 4 + 12 * len(tags)
    listed, body = struct.pack(">I", len(tags)), b""
    for name, content in tags:
        listed += struct.pack(">4sII", name, start + len(body), len(content))
        body += content
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"lcms", 0x04300000, b"prtr", b"CMYK", b"Lab ")
    illuminant = struct.pack(">3i", 63_190, 65_536, 54_061)
    return (head.ljust(36, b"\0") + b"acsp").ljust(68, b"\0") + illuminant + bytes(48) + listed + body


def avif_grid(columns: int = 2, rows: int = 2, *, side: int = 64, claim: tuple[int, int] | None = None) -> bytes:
    """Return an AVIF file of tiles of noise; `claim` is the size that it says it has."""
    width, height = claim or (columns * side, rows * side)
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)).save(file, "AVIF")
    (tile,) = read_items(file.getvalue()).by_number.values()
    size = Property(b"ispe", struct.pack(">I4sIII", 20, b"ispe", 0, width, height))
    shown = [one for one in tile.properties if one.kind in (b"pixi", b"colr")]
    grid = Item(1, b"grid", struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height), (size, *shown))
    tiles = [replace(tile, number=2 + index) for index in range(rows * columns)]
    return write_items([grid, *tiles], [(b"dimg", 1, tuple(one.number for one in tiles))])
