"""Our texts live beside what a camera wrote."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from retouch.errors import ImageError
from retouch.imaging.exif_block import exif_with, read_exif


def _camera() -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "maker"
    exif.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    return exif.tobytes().removeprefix(b"Exif\0\0")


@pytest.mark.parametrize("text", ["plain", "ä, 😀: x\ny", "", "a" * 10_000])
def test_both_texts_come_back(text: str) -> None:
    assert read_exif(exif_with(None, parameters=text, record=b'{"a":1}')) == (text, b'{"a":1}')


def test_what_the_camera_wrote_is_kept() -> None:
    kept = Image.Exif()
    kept.load(exif_with(_camera(), parameters="p", record=b"r"))
    assert kept[0x010F] == "maker"
    assert kept.get_ifd(0x8769)[0x9003] == "2020:01:01 00:00:00"


@pytest.mark.parametrize("block", [b"nothing", b"II*\0" + bytes(3)])
def test_a_broken_block_is_refused_where_it_would_be_written_anew(block: bytes) -> None:
    with pytest.raises(ImageError):
        exif_with(block, parameters="p", record=b"r")
    assert exif_with(block, parameters="", record=b"") == block


def test_comments_of_other_writers_are_read() -> None:
    for comment, text in (
        (b"ASCII\0\0\0hello", "hello"),
        (b"UNICODE\0" + "hello".encode("utf-16-le"), "hello"),
        (b"UNICODE\0" + "hello".encode("utf-16-be"), "hello"),
        (b"", ""),
    ):
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9286] = comment
        assert read_exif(exif.tobytes().removeprefix(b"Exif\0\0"))[0] == text


@given(st.binary(max_size=200))
def test_any_bytes_can_be_read(block: bytes) -> None:
    read_exif(block)
    read_exif(b"II*\0" + block)
