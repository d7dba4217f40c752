"""The items of a HEIF-like file (AVIF is one): where they lie, what they are, and what belongs to what.

Source: ISO/IEC 14496-12, sections 4.2 and 8.11; ISO/IEC 23008-12, section 9.3. Every count and offset is a
stranger's claim: a box that repeats, lies outside its parent, or is of a version unknown here is an error.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from retouch.errors import ImageError

MAX_BOXES = 2_000
MAX_EXTENTS = 10_000

Reference = tuple[bytes, int, tuple[int, ...]]
"""Kind, from, to: `dimg` a grid's tiles, `auxl` a transparency's picture, `cdsc` what an EXIF block describes."""


@dataclass(frozen=True, slots=True)
class Property:
    """A box that describes items, with its header; `is_essential` for the item it was found at."""

    kind: bytes
    box: bytes
    is_essential: bool = False

    @property
    def content(self) -> bytes:
        return self.box[8:]


@dataclass(frozen=True, slots=True)
class Item:
    """One item: its kind (`av01`, `grid`, `Exif`, ...), its bytes and what describes them."""

    number: int
    kind: bytes
    data: bytes
    properties: tuple[Property, ...]


@dataclass(frozen=True, slots=True)
class Items:
    """The items of a file by number, and what they are to each other."""

    primary: int
    by_number: dict[int, Item]
    references: tuple[Reference, ...]


class _Reader:
    """Reads big-endian numbers one after the other, and never past the end of a box."""

    def __init__(self, data: bytes) -> None:
        self.data, self.position = data, 0

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def take(self, size: int) -> bytes:
        end = self.position + size
        if not self.position <= end <= len(self.data):
            raise broken()
        taken, self.position = self.data[self.position : end], end
        return taken

    def rest(self) -> bytes:
        return self.data[self.position :]

    def version_and_flags(self) -> tuple[int, int]:
        return self.number(1), self.number(3)


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (kind, content) of neighbouring boxes that fill `data`."""
    reader = _Reader(data)
    for _ in range(MAX_BOXES):
        if reader.position == len(data):
            return
        start = reader.position
        size, kind = reader.number(4), reader.take(4)
        if size == 1:
            size = reader.number(8)
        if size == 0:
            yield kind, reader.rest()
            return
        yield kind, reader.take(size - (reader.position - start))
    raise broken()


def read_items(data: bytes) -> Items:
    """Read the `meta` box of a file.

    Raises:
        ImageError: it is missing, broken, ambiguous or points outside the file.
    """
    meta = _once(data, b"meta")[b"meta"]
    found = _once(meta[4:], b"pitm", b"iinf", b"iloc", b"iprp", optional=(b"iref", b"idat"))
    kinds = _kinds(found[b"iinf"])
    content = _contents(found[b"iloc"], data, found.get(b"idat", b""))
    described = _properties(found[b"iprp"])
    items = {
        number: Item(number, kind, content.get(number, b""), described.get(number, ()))
        for number, kind in kinds.items()
    }
    primary = _Reader(found[b"pitm"])
    number = primary.number(2 if primary.version_and_flags()[0] == 0 else 4)
    return Items(number, items, _references(found.get(b"iref", bytes(4))))


def write_items(kept: Sequence[Item], references: Sequence[Reference]) -> bytes:
    """Return an AVIF file of some items, the first of which is its picture, with the references among them."""
    numbers = {item.number: index for index, item in enumerate(kept, start=1)}
    head = _box(b"ftyp", b"avif", bytes(4), b"avifmif1miaf")
    # The places of the items depend on the length of what says where they are, not on the places themselves.
    start = len(head) + len(_meta(kept, numbers, references, 0)) + 8
    return head + _meta(kept, numbers, references, start) + _box(b"mdat", *(item.data for item in kept))


def broken() -> ImageError:
    """Return the error of a file whose boxes cannot be followed."""
    return ImageError("the AVIF file is broken or cut short", hint="save the picture again")


def _once(data: bytes, *needed: bytes, optional: tuple[bytes, ...] = ()) -> dict[bytes, bytes]:
    """Return the boxes of some kinds; one that comes twice could be read in two ways."""
    found: dict[bytes, bytes] = {}
    for kind, content in boxes(data):
        if kind in found:
            raise broken()
        if kind in (*needed, *optional):
            found[kind] = content
    if not {*needed} <= found.keys():
        raise broken()
    return found


def _kinds(iinf: bytes) -> dict[int, bytes]:
    reader = _Reader(iinf)
    reader.number(2 if reader.version_and_flags()[0] == 0 else 4)
    kinds: dict[int, bytes] = {}
    for _, content in boxes(reader.rest()):
        entry = _Reader(content)
        version, _flags = entry.version_and_flags()
        number = entry.number(2 if version == 2 else 4)
        entry.number(2)
        if version not in (2, 3) or number in kinds:
            raise broken()
        kinds[number] = entry.take(4)
    return kinds


def _contents(iloc: bytes, data: bytes, idat: bytes) -> dict[int, bytes]:
    reader = _Reader(iloc)
    version, _ = reader.version_and_flags()
    sizes = reader.number(2)
    offset_size, length_size, base_size, index_size = (sizes >> shift & 0xF for shift in (12, 8, 4, 0))
    wide = 4 if version == 2 else 2
    contents: dict[int, bytes] = {}
    extents = total = 0
    for _ in range(reader.number(wide)):
        number = reader.number(wide)
        source = (data, idat, None)[min(2, reader.number(2) & 0xF)] if version else data
        reader.number(2)
        base, parts = reader.number(base_size), []
        for _ in range(reader.number(2)):
            reader.number(index_size if version else 0)
            start, length = base + reader.number(offset_size), reader.number(length_size)
            extents, total = extents + 1, total + length
            # Extents may overlap, but never add up to more than there is.
            if source is None or start + length > len(source) or total > len(data) or extents > MAX_EXTENTS:
                raise broken()
            parts.append(source[start : start + length])
        if number in contents or version > 2:
            raise broken()
        contents[number] = b"".join(parts)
    return contents


def _properties(iprp: bytes) -> dict[int, tuple[Property, ...]]:
    listed: list[Property] = []
    associations = []
    for kind, content in boxes(iprp):
        if kind == b"ipco" and not listed:
            listed = [
                Property(name, struct.pack(">I4s", 8 + len(box), name) + box) for name, box in boxes(content)
            ]
        elif kind == b"ipma":
            associations.append(content)
    described: dict[int, tuple[Property, ...]] = {}
    for content in associations:
        reader = _Reader(content)
        version, flags = reader.version_and_flags()
        size = 2 if flags & 1 else 1
        for _ in range(reader.number(4)):
            number = reader.number(2 if version == 0 else 4)
            marks = [reader.number(size) for _ in range(reader.number(1))]
            top = 1 << 8 * size - 1
            if number in described or any(not mark & ~top or mark & ~top > len(listed) for mark in marks):
                raise broken()
            described[number] = tuple(
                Property(listed[(mark & ~top) - 1].kind, listed[(mark & ~top) - 1].box, bool(mark & top))
                for mark in marks
            )
    return described


def _references(iref: bytes) -> tuple[Reference, ...]:
    reader = _Reader(iref)
    size = 2 if reader.version_and_flags()[0] == 0 else 4
    found = []
    for kind, content in boxes(reader.rest()):
        entry = _Reader(content)
        start = entry.number(size)
        found.append((kind, start, tuple(entry.number(size) for _ in range(entry.number(2)))))
    return tuple(found)


def _box(kind: bytes, *content: bytes) -> bytes:
    joined = b"".join(content)
    return struct.pack(">I4s", 8 + len(joined), kind) + joined


def _meta(kept: Sequence[Item], numbers: Mapping[int, int], references: Iterable[Reference], start: int) -> bytes:
    places, infos, marks, listed = b"", b"", b"", b""
    count = 0
    for number, item in enumerate(kept, start=1):
        places += struct.pack(">HHHII", number, 0, 1, start, len(item.data))
        start += len(item.data)
        infos += _box(b"infe", struct.pack(">BxxxHH4sx", 2, number, 0, item.kind))
        listed += b"".join(one.box for one in item.properties)
        indices = range(count + 1, count + 1 + len(item.properties))
        count += len(item.properties)
        marks += struct.pack(">HB", number, len(indices)) + struct.pack(
            f">{len(indices)}H",
            *(index | one.is_essential << 15 for index, one in zip(indices, item.properties, strict=True)),
        )
    return _box(
        b"meta",
        bytes(4),
        _box(b"hdlr", bytes(8), b"pict", bytes(13)),
        _box(b"pitm", bytes(4), struct.pack(">H", 1)),
        _box(b"iloc", bytes(4), struct.pack(">HH", 0x4400, len(kept)), places),
        _box(b"iinf", bytes(4), struct.pack(">H", len(kept)), infos),
        _box(b"iref", bytes(4), *_reference_boxes(numbers, references)),
        _box(b"iprp", _box(b"ipco", listed), _box(b"ipma", struct.pack(">II", 1, len(kept)), marks)),
    )


def _reference_boxes(numbers: Mapping[int, int], references: Iterable[Reference]) -> Iterator[bytes]:
    for kind, number, to in references:
        targets = [numbers[one] for one in to if one in numbers]
        if number in numbers and targets:
            yield _box(kind, struct.pack(f">HH{len(targets)}H", numbers[number], len(targets), *targets))
