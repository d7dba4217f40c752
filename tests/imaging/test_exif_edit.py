"""Of a stranger's EXIF block, orientation, thumbnail and our own old texts go; the rest stays as it is."""

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from retouch.imaging.exif_block import exif_with, read_exif
from retouch.imaging.exif_edit import MAX_EXIF_BYTES, clean_exif


def _block(orientation: int, order: str = "<") -> bytes:
    """An EXIF block with orientation, maker, a second directory and a thumbnail of eight bytes."""
    mark = b"II" if order == "<" else b"MM"
    first = struct.pack(order + "HHHIHHHHIII", 2, 0x0112, 3, 1, orientation, 0, 0x010F, 2, 4, 0, 38)
    first = first[:-8] + b"abc\0" + struct.pack(order + "I", 38)
    second = struct.pack(order + "HHHIIHHIII", 2, 0x0201, 4, 1, 68, 0x0202, 4, 1, 8, 0)
    return mark + struct.pack(order + "HI", 42, 8) + first + second + b"\xff\xd8THUMB!"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_read_and_reset(order: str, prefix: bytes, orientation: int) -> None:
    exif, found, _ = clean_exif(prefix + _block(orientation, order))
    assert found == orientation
    kept = Image.Exif()
    kept.load(exif)
    assert kept[0x0112] == 1
    assert kept[0x010F] == "abc"
    assert clean_exif(exif) == (exif, 1, False)


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_thumbnail_is_gone_to_the_last_byte(order: str) -> None:
    exif, _, _ = clean_exif(_block(6, order))
    assert b"THUMB" not in exif
    kept = Image.Exif()
    kept.load(exif)
    assert not kept.get_ifd(1)


def test_a_camera_file_loses_its_thumbnail_and_keeps_its_date() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    exif.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", exif=exif)
    block, orientation, _ = clean_exif(Image.open(file).info["exif"])
    kept = Image.Exif()
    kept.load(block)
    assert orientation == 3
    assert kept.get_ifd(0x8769)[0x9003] == "2020:01:01 00:00:00"


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_impossible_orientation_counts_as_none(orientation: int) -> None:
    assert clean_exif(_block(orientation)).orientation == 1


def test_absent_broken_and_giant_blocks_are_dropped() -> None:
    for block in (None, b"", b"Exif\0\0"):
        assert clean_exif(block) == (None, 1, False)
    for block in (b"nothing", b"II*\0", b"II*\0" + struct.pack("<I", 10**6), b"x" * 2**21):
        assert clean_exif(block) == (None, 1, True)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", "HIhi")
def test_an_orientation_is_read_in_any_whole_number(order: str, kind: str) -> None:
    block = bytearray(_block(6, order))
    number = {"H": 3, "I": 4, "h": 8, "i": 9}[kind]
    struct.pack_into(order + "HI4s", block, 12, number, 1, struct.pack(order + kind, 6).ljust(4, b"\0"))
    exif, orientation, _ = clean_exif(bytes(block))
    assert orientation == 6
    kept = Image.Exif()
    kept.load(exif)
    assert kept[0x0112] == 1


def test_the_orientation_of_a_block_that_is_dropped_counts_all_the_same() -> None:
    promising = bytearray(_block(6))
    struct.pack_into("<H", promising, 8, 100)
    for block in (bytes(promising), _block(6) + bytes(MAX_EXIF_BYTES)):
        assert clean_exif(block) == (None, 6, True)


def _result(camera: Image.Exif, *, record: bytes = b'{"seed":1}') -> bytes:
    return exif_with(camera.tobytes(), parameters="a SECRET\nSteps: 2, Version: retouch 1.0", record=record)


@pytest.mark.parametrize("record", [b'{"seed":"SECRET"}' * 999, b""])
def test_what_an_earlier_result_says_is_gone_and_what_the_camera_wrote_is_kept(record: bytes) -> None:
    camera = Image.Exif()
    camera[0x010F] = "maker"
    camera.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    camera.get_ifd(0x8825)[1] = "N"
    exif = clean_exif(_result(camera, record=record)).block
    assert read_exif(exif) == ("", b"")
    assert b"SECRET" not in exif
    assert "SECRET".encode("utf-16-be") not in exif
    kept = Image.Exif()
    kept.load(exif)
    assert kept[0x010F] == "maker"
    assert dict(kept.get_ifd(0x8769)) == {0x9003: "2020:01:01 00:00:00"}
    assert dict(kept.get_ifd(0x8825)) == {1: "N"}
    assert clean_exif(exif).block == exif


def test_of_a_result_without_a_camera_nothing_is_left() -> None:
    assert clean_exif(_result(Image.Exif())) == (None, 1, False)


def test_a_large_record_does_not_cost_what_the_camera_wrote() -> None:
    camera = Image.Exif()
    camera[0x010F] = "maker"
    exif = clean_exif(_result(camera, record=b"x" * 2 * MAX_EXIF_BYTES)).block
    assert len(exif) < 200


def test_the_comment_of_another_writer_stays() -> None:
    block = exif_with(None, parameters="on the beach", record=b"")
    assert read_exif(clean_exif(block).block) == ("on the beach", b"")


@given(st.integers(0, 200), st.binary(max_size=40), st.sampled_from("<>"))
def test_broken_blocks_never_raise(place: int, junk: bytes, order: str) -> None:
    for whole in (_block(5, order), _result(Image.Exif())):
        block = bytearray(whole)
        block[place : place + len(junk)] = junk
        exif, orientation, _ = clean_exif(bytes(block))
        assert 1 <= orientation <= 8
        assert exif is None or len(exif) <= len(block)
