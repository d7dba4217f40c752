"""A PNG file is cut down to its pixels; nothing in its chunks can run wild."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image
from tests.imaging.hostile import IEND, idat, png_chunk, png_file

from retouch.errors import ImageError
from retouch.imaging.decode import decode_picture
from retouch.imaging.png_chunks import MAX_ICC_BYTES, MAX_OTHER_CHUNKS, chunk, chunks, inflate, lean_png


def test_text_does_not_reach_the_lean_file() -> None:
    lean = lean_png(png_file(png_chunk(b"tEXt", b"Comment\0hello"), idat(), IEND))
    assert [name for name, _, _ in chunks(lean.data)] == [b"IHDR", b"IDAT", b"IEND"]


def test_profile_exif_and_key_are_read_beside_it() -> None:
    profile = png_chunk(b"iCCP", b"name\0\0" + zlib.compress(b"profile"))
    lean = lean_png(png_file(profile, png_chunk(b"eXIf", b"II*\0"), png_chunk(b"tRNS", bytes(6)), idat(), IEND))
    assert (lean.icc, lean.exif, lean.colour_key) == (b"profile", b"II*\0", (0, 0, 0))
    assert (lean.bits, lean.mode, lean.is_animated) == (8, "RGB", False)


def test_the_transparency_of_a_palette_stays_with_the_pixels() -> None:
    image = Image.fromarray(np.zeros((2, 2), np.uint8), "P")
    image.putpalette([1, 2, 3])
    file = io.BytesIO()
    image.save(file, "PNG", transparency=b"\x80")
    names = [name for name, _, _ in chunks(lean_png(file.getvalue()).data)]
    assert names == [b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"]


def test_a_profile_at_the_limit_passes_and_one_byte_more_does_not() -> None:
    for size, passes in ((MAX_ICC_BYTES, True), (MAX_ICC_BYTES + 1, False)):
        data = png_file(png_chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(size))), idat(), IEND)
        if passes:
            assert lean_png(data).icc == bytes(size)
        else:
            with pytest.raises(ImageError):
                lean_png(data)


@pytest.mark.parametrize("stream", [b"no stream", zlib.compress(bytes(900))[:-6], b""])
def test_a_broken_profile_is_left_out_with_a_warning(stream: bytes) -> None:
    data = png_file(png_chunk(b"iCCP", b"x\0\0" + stream), idat(), IEND)
    assert (lean_png(data).icc, lean_png(data).is_icc_broken) == (None, True)
    picture = decode_picture(data)
    assert picture.icc is None
    assert "profile" in picture.warnings[0]
    assert not lean_png(png_file(idat(), IEND)).is_icc_broken


def test_more_chunks_than_any_honest_file_has_are_refused() -> None:
    few = png_file(png_chunk(b"tEXt", b"") * (MAX_OTHER_CHUNKS - 2), idat(), IEND)
    many = png_file(png_chunk(b"tEXt", b"") * MAX_OTHER_CHUNKS, idat(), IEND)
    assert lean_png(few)
    with pytest.raises(ImageError):
        lean_png(many)


def test_what_follows_the_end_is_ignored() -> None:
    data = png_file(idat(), IEND)
    assert lean_png(data + b"anything").data == lean_png(data).data


def test_inflating_stops_at_the_limit() -> None:
    assert inflate(zlib.compress(b"abc"), 3) == b"abc"
    assert inflate(zlib.compress(b"abcd"), 3) is None
    assert inflate(zlib.compress(b"abcd")[:-5], 9) is None
    assert inflate(b"no stream", 9) is None


def test_a_chunk_is_what_the_reader_expects() -> None:
    assert chunk(b"IEND", b"") == bytes.fromhex("0000000049454e44ae426082")
