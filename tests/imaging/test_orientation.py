"""Orientation is applied to the samples and reset in the EXIF block; the thumbnail goes."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from retouch.imaging.orientation import clean_exif, turn


def _block(orientation: int, order: str = "<") -> bytes:
    """An EXIF block with orientation, maker, a second directory and a thumbnail of eight bytes."""
    mark = b"II" if order == "<" else b"MM"
    first = struct.pack(order + "HHHIHHHHIII", 2, 0x0112, 3, 1, orientation, 0, 0x010F, 2, 4, 0, 38)
    first = first[:-8] + b"abc\0" + struct.pack(order + "I", 38)
    second = struct.pack(order + "HHHIIHHIII", 2, 0x0201, 4, 1, 68, 0x0202, 4, 1, 8, 0)
    return mark + struct.pack(order + "HI", 42, 8) + first + second + b"\xff\xd8THUMB!"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 3)])
def test_samples_are_turned_as_pillow_turns_them(orientation: int, shape: tuple) -> None:
    samples = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    image = Image.fromarray(samples)
    image.getexif()[0x0112] = orientation
    assert np.array_equal(turn(samples, orientation), ImageOps.exif_transpose(image))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_read_and_reset(order: str, prefix: bytes, orientation: int) -> None:
    exif, found = clean_exif(prefix + _block(orientation, order))
    assert found == orientation
    kept = Image.Exif()
    kept.load(exif)
    assert kept[0x0112] == 1
    assert kept[0x010F] == "abc"
    assert clean_exif(exif) == (exif, 1)


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_thumbnail_is_gone_to_the_last_byte(order: str) -> None:
    exif, _ = clean_exif(_block(6, order))
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
    block, orientation = clean_exif(Image.open(file).info["exif"])
    kept = Image.Exif()
    kept.load(block)
    assert orientation == 3
    assert kept.get_ifd(0x8769)[0x9003] == "2020:01:01 00:00:00"


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_impossible_orientation_counts_as_none(orientation: int) -> None:
    assert clean_exif(_block(orientation))[1] == 1


def test_absent_broken_and_giant_blocks_are_dropped() -> None:
    for block in (None, b"", b"Exif\0\0", b"nothing", b"II*\0", b"II*\0" + struct.pack("<I", 10**6), b"x" * 2**21):
        assert clean_exif(block) == (None, 1)


@given(st.integers(0, 200), st.binary(max_size=40), st.sampled_from("<>"))
def test_broken_blocks_never_raise(place: int, junk: bytes, order: str) -> None:
    block = bytearray(_block(5, order))
    block[place : place + len(junk)] = junk
    exif, orientation = clean_exif(bytes(block))
    assert 1 <= orientation <= 8
    assert exif is None or len(exif) <= len(block)
