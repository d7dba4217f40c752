"""Headers tell format and size without decoding, whatever the file is called."""

import io
import struct

import pytest
from PIL import Image

from retouch.errors import ImageError, ImageFormatError, ImageTooLarge
from retouch.imaging.headers import check_size, read_header
from retouch.imaging.limits import DecodeLimits


def _encoded(kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (70, 30)).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP"])
def test_format_and_size_come_from_the_bytes(kind: str) -> None:
    header = read_header(_encoded(kind))
    assert (header.format, header.width, header.height) == (kind, 70, 30)
    assert not header.is_animated


@pytest.mark.parametrize(
    "options", [{"lossless": True}, {"lossless": False}, {"icc_profile": b"x" * 200}], ids=["VP8L", "VP8", "VP8X"]
)
def test_every_kind_of_webp_tells_its_size(options: dict) -> None:
    header = read_header(_encoded("WEBP", **options))
    assert (header.width, header.height) == (70, 30)


def test_what_is_appended_to_a_jpeg_is_not_counted_as_its_scans() -> None:
    trailer = b"a video that a phone appended \xff\xda\x00\x08" * 200
    header = read_header(_encoded("JPEG", progressive=True) + trailer)
    assert (header.width, header.height) == (70, 30)


def test_too_many_scans_of_a_jpeg_are_refused() -> None:
    data = _encoded("JPEG")
    scan = data.index(b"\xff\xda")
    with pytest.raises(ImageError, match="scans"):
        read_header(data[:scan] + data[scan:-2] * 200 + b"\xff\xd9")


def test_progressive_jpeg_with_fill_bytes_tells_its_size() -> None:
    data = _encoded("JPEG", progressive=True)
    filled = data[:2] + b"\xff" * 100 + data[2:]
    assert (read_header(filled).width, read_header(filled).height) == (70, 30)


def test_old_bitmaps_with_a_short_header_tell_their_size() -> None:
    data = b"BM" + struct.pack("<IHHI", 100, 0, 0, 26) + struct.pack("<IHHHH", 12, 7, 5, 1, 24) + bytes(200)
    assert (read_header(data).width, read_header(data).height) == (7, 5)


def test_other_bytes_are_no_picture() -> None:
    for data in (b"", b"GIF89a" + bytes(20), b"<svg/>"):
        with pytest.raises(ImageFormatError) as caught:
            read_header(data)
        assert "PNG" in caught.value.hint


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_a_header_that_ends_early_is_an_error(kind: str) -> None:
    data = _encoded(kind)
    for length in range(4, 26):
        try:
            read_header(data[:length])
        except ImageError:
            continue


@pytest.mark.parametrize(("width", "height"), [(0, 1), (1, 0), (-1, 5)])
def test_a_picture_without_pixels_is_an_error(width: int, height: int) -> None:
    with pytest.raises(ImageError):
        check_size(width, height, DecodeLimits())


def test_sides_and_pixels_at_the_limit_pass_and_one_more_does_not() -> None:
    limits = DecodeLimits(image_pixels=100, image_side=50, image_min_side=2)
    check_size(50, 2, limits)
    check_size(10, 10, limits)
    for width, height in ((51, 1), (51, 2), (10, 11), (50, 1)):
        with pytest.raises(ImageError):
            check_size(width, height, limits)
    with pytest.raises(ImageTooLarge):
        check_size(10, 11, limits)


@pytest.mark.parametrize(
    ("data", "name"),
    [(b"GIF89a", "GIF"), (b"\0\0\0\x18ftypheic", "HEIC"), (b"%PDF-1.7", "PDF"), (b"<svg xmlns=", "SVG")],
)
def test_a_known_format_that_is_not_read_is_named(data: bytes, name: str) -> None:
    with pytest.raises(ImageFormatError, match=f"{name} files cannot be read"):
        read_header(data + bytes(100))
