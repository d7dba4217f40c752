"""A lean copy of an AVIF file: the first picture, its transparency and its EXIF, of sizes that are known.

The decoder gets this copy alone. Its container is written here and its streams were measured (`frame_size`), so
that nothing that a stranger's container claims decides how much is decoded. Source: AV1 Image File Format 1.1.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

from retouch.errors import ImageError, ImageFormatError
from retouch.imaging.av1 import frame_size
from retouch.imaging.isobmff import Item, Items, broken, read_items, write_items
from retouch.imaging.limits import is_padded

_KEPT_PROPERTIES = (b"ispe", b"pixi", b"av1C", b"colr", b"irot", b"imir", b"auxC")
_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0", b"urn:mpeg:hevc:2015:auxid:1\0")
_KEPT_REFERENCES = (b"dimg", b"auxl", b"prem", b"cdsc")


@dataclass(frozen=True, slots=True)
class LeanAvif:
    """What an AVIF file holds for us.

    Attributes:
        data: an AVIF file of one picture.
        width: columns as stored, before any turning.
        height: rows as stored.
        is_deep: more than 8 bits a sample.
        is_animated: the file held a sequence, of which this is the first picture.
        exif: the EXIF block, or b"".
    """

    data: bytes
    width: int
    height: int
    is_deep: bool
    is_animated: bool
    exif: bytes


def lean_avif(data: bytes) -> LeanAvif:
    """Cut an AVIF file down to its first picture.

    Raises:
        ImageError: the file is broken, or its streams are of other sizes than it says.
        ImageFormatError: it holds layers, or its first picture is of another kind than AV1.
    """
    items = read_items(data)
    picture = _item(items, items.primary)
    tiles = _tiles(items, picture)
    width, height = _size(picture, tiles)
    kept = [picture, *tiles, *_alpha(items, picture, (width, height))]
    exif = next(iter(_pointing(items, b"cdsc", picture, b"Exif")), None)
    kept += [] if exif is None else [exif]
    if len({item.number for item in kept}) < len(kept):
        raise broken()
    return LeanAvif(
        data=write_items(kept, [one for one in items.references if one[0] in _KEPT_REFERENCES]),
        width=width,
        height=height,
        is_deep=any(_is_deep(item) for item in kept),
        is_animated=data[8:12] == b"avis",
        exif=b"" if exif is None else _exif_block(exif.data),
    )


def _item(items: Items, number: int) -> Item:
    """Return an item with those of its properties that a decoder needs."""
    item = items.by_number.get(number)
    if item is None:
        raise broken()
    if any(one.is_essential and one.kind not in (*_KEPT_PROPERTIES, b"clap") for one in item.properties):
        # What must be understood and is not here, such as the choice of a layer.
        raise ImageFormatError("AVIF pictures of several layers cannot be read", hint="save it as one layer")
    return replace(item, properties=tuple(one for one in item.properties if one.kind in _KEPT_PROPERTIES))


def _tiles(items: Items, item: Item) -> list[Item]:
    """Return the tiles of a grid in their order; nothing for a picture of one piece."""
    if item.kind == b"av01":
        return []
    if item.kind != b"grid":
        raise ImageFormatError("the AVIF file's picture is no AV1 picture", hint="save it as AVIF or PNG")
    found = [to for kind, number, to in items.references if kind == b"dimg" and number == item.number]
    if len(found) != 1 or len(set(found[0])) < len(found[0]):
        raise broken()
    tiles = [_item(items, number) for number in found[0]]
    if any(tile.kind != b"av01" for tile in tiles):
        raise broken()
    return tiles


def _alpha(items: Items, picture: Item, size: tuple[int, int]) -> list[Item]:
    """Return the transparency of a picture, and its tiles."""
    for item in _pointing(items, b"auxl", picture, b"av01", b"grid"):
        if any(one.kind == b"auxC" and one.content[4:].startswith(_ALPHA) for one in item.properties):
            tiles = _tiles(items, item)
            if _size(item, tiles) != size:
                raise _other_size()
            return [item, *tiles]
    return []


def _pointing(items: Items, reference: bytes, picture: Item, *kinds: bytes) -> list[Item]:
    numbers = [number for kind, number, to in items.references if kind == reference and picture.number in to]
    return [item for item in (_item(items, number) for number in numbers) if item.kind in kinds]


def _size(item: Item, tiles: Sequence[Item]) -> tuple[int, int]:
    """Return (width, height) of a picture, after comparing every claim with what the streams hold."""
    if item.kind == b"av01":
        size = frame_size(item.data)
        if _claimed(item) != size:
            raise _other_size()
        return size
    return _grid_size(item, tiles)


def _grid_size(item: Item, tiles: Sequence[Item]) -> tuple[int, int]:
    try:
        flags, rows, columns = struct.unpack_from(">xBBB", item.data)
        width, height = struct.unpack_from(">II" if flags & 1 else ">HH", item.data, 4)
    except struct.error as error:
        raise broken() from error
    rows, columns = rows + 1, columns + 1
    sizes = {_size(tile, ()) for tile in tiles}
    if len(tiles) != rows * columns or len(sizes) != 1 or _claimed(item) != (width, height):
        raise _other_size()
    ((tile_width, tile_height),) = sizes
    tiled = rows * columns * tile_width * tile_height
    if columns * tile_width < width or rows * tile_height < height or is_padded(tiled, width * height):
        raise _other_size()
    return width, height


def _claimed(item: Item) -> tuple[int, int]:
    claims = [one.content for one in item.properties if one.kind == b"ispe"]
    if len(claims) != 1 or len(claims[0]) != 12:
        raise ImageError("the AVIF file does not name its size", hint="save the picture again")
    width, height = struct.unpack_from(">II", claims[0], 4)
    return int(width), int(height)


def _is_deep(item: Item) -> bool:
    configs = (one.content[2:3] for one in item.properties if one.kind == b"av1C")
    return any(flags and flags[0] & 0x40 for flags in configs)


def _exif_block(data: bytes) -> bytes:
    """Return the block behind the four bytes that say where in the item it begins."""
    return data[4 + int.from_bytes(data[:4], "big") :]


def _other_size() -> ImageError:
    return ImageError("the AVIF picture is of another size than its file says", hint="save the picture again")
