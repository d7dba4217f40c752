"""Items are found where a file says they are, or the file is refused."""

import struct

import pytest
from tests.imaging.builders import avif_grid

from retouch.errors import ImageError
from retouch.imaging.isobmff import boxes, read_items, write_items


def test_what_was_written_reads_back() -> None:
    items = read_items(avif_grid(2, 2))
    again = read_items(write_items(list(items.by_number.values()), items.references))
    assert again == items


def test_boxes_tell_their_size_in_three_ways() -> None:
    data = struct.pack(">I4s", 9, b"tiny") + b"a" + struct.pack(">I4sQ", 1, b"wide", 18) + b"bc"
    rest = struct.pack(">I4s", 0, b"rest") + b"def"
    assert list(boxes(data + rest)) == [(b"tiny", b"a"), (b"wide", b"bc"), (b"rest", b"def")]


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">I4s", 100, b"past"),
        struct.pack(">I4s", 7, b"less"),
        struct.pack(">I4sQ", 1, b"wide", 15),
        struct.pack(">I4sQ", 1, b"wide", 2**63),
        struct.pack(">I4s", 8, b"many") * 3_000,
        b"abc",
    ],
)
def test_boxes_that_cannot_be_are_an_error(data: bytes) -> None:
    with pytest.raises(ImageError):
        list(boxes(data))


def test_a_file_that_can_be_read_in_two_ways_is_an_error() -> None:
    data = avif_grid()
    start = data.index(b"meta") - 4
    (size,) = struct.unpack_from(">I", data, start)
    with pytest.raises(ImageError):
        read_items(data + data[start : start + size])


def test_extents_never_add_up_to_more_than_the_file() -> None:
    data = bytearray(avif_grid(2, 2))
    place = data.index(b"iloc") + 4 + 8
    for item in range(5):
        struct.pack_into(">II", data, place + 14 * item + 6, 0, len(data))
    with pytest.raises(ImageError):
        read_items(bytes(data))


def test_a_file_that_is_cut_anywhere_is_an_error() -> None:
    data = avif_grid()
    for end in range(0, len(data), 7):
        with pytest.raises(ImageError):
            read_items(data[:end])
