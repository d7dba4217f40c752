"""The first TIFF directory is read within bounds, in both byte orders and both sizes."""

import struct

import pytest
from tests.imaging.builders import tiff_entries, tiff_file

from retouch.errors import ImageError, ImageFormatError
from retouch.imaging.tiff_header import ICC_TAG, MAX_TAGS, read_tiff_header


def test_a_small_endian_directory_is_read() -> None:
    header = read_tiff_header(tiff_file(tiff_entries(7, 5)))
    assert (header.width, header.height, header.bits, header.samples) == (7, 5, (8,), 1)
    assert (header.orientation, header.has_more_pages) == (1, False)


def test_a_big_endian_directory_is_read() -> None:
    entries = [(256, 3, 1, 7 << 16), (257, 3, 1, 5 << 16), (274, 3, 1, 6 << 16)]
    data = b"MM\0*" + struct.pack(">IH", 8, len(entries))
    data += b"".join(struct.pack(">HHII", *entry) for entry in entries) + struct.pack(">I", 0)
    header = read_tiff_header(data)
    assert (header.width, header.height, header.orientation) == (7, 5, 6)


def test_a_big_tiff_directory_is_read() -> None:
    entries = [(256, 3, 1, 7), (257, 3, 1, 5)]
    data = b"II+\0" + struct.pack("<HHQQ", 8, 0, 16, len(entries))
    data += b"".join(struct.pack("<HHQQ", *entry) for entry in entries) + struct.pack("<Q", 0)
    header = read_tiff_header(data)
    assert (header.width, header.height) == (7, 5)


def test_a_second_directory_is_noticed_and_not_followed() -> None:
    assert read_tiff_header(tiff_file(tiff_entries(7, 5), following=8)).has_more_pages


def test_values_that_do_not_fit_in_the_entry_are_found_behind() -> None:
    entries = [(256, 4, 1, 7), (257, 4, 1, 5), (258, 3, 3, 62), (ICC_TAG, 7, 6, 68)]
    header = read_tiff_header(tiff_file(entries, tail=struct.pack("<HHH", 16, 16, 16) + b"profil"))
    assert header.bits == (16, 16, 16)
    assert header.texts[ICC_TAG] == b"profil"


def test_values_outside_the_file_are_an_error() -> None:
    with pytest.raises(ImageError):
        read_tiff_header(tiff_file([(258, 3, 3, 10**6)]))


@pytest.mark.parametrize("sample_format", [2, 3])
def test_samples_that_are_no_plain_numbers_are_refused_with_a_hint(sample_format: int) -> None:
    with pytest.raises(ImageFormatError) as caught:
        read_tiff_header(tiff_file(tiff_entries(4, 4, bits=32, sample_format=sample_format)))
    assert "8 or 16 bits" in caught.value.hint


def test_more_tags_than_any_honest_file_has_are_refused() -> None:
    data = b"II*\0" + struct.pack("<IH", 8, MAX_TAGS + 1) + bytes(12 * (MAX_TAGS + 1) + 4)
    with pytest.raises(ImageError):
        read_tiff_header(data)
