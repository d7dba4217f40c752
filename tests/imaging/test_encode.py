"""Files hold what the picture holds, the same bytes every time; what is lost is told."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from retouch.errors import ImageError, ImageFormatError, ImageTooLarge
from retouch.imaging.decode import decode_picture
from retouch.imaging.encode import MEDIA_TYPES, encode_picture, encoding_warnings
from retouch.imaging.exif_block import MAX_TEXT_BYTES, exif_with
from retouch.imaging.metadata import ResultMetadata, read_metadata
from retouch.imaging.picture import Picture
from retouch.imaging.png_chunks import chunk

RNG = np.random.default_rng(0)
METADATA = ResultMetadata("p\nSteps: 1, Sampler: DDIM, Seed: 2", {"seed": 2})


def _picture(kind: str, height: int = 21, width: int = 33, **others: object) -> Picture:
    dtype = np.uint16 if kind.startswith("16") else np.uint8
    peak = np.iinfo(dtype).max + 1
    shape = (height, width, 3) if "RGB" in kind else (height, width)
    alpha = RNG.integers(0, peak, (height, width), dtype=dtype) if kind.endswith("A") else None
    return Picture(RNG.integers(0, peak, shape, dtype=dtype), alpha, **others)


KINDS = ["8L", "8LA", "8RGB", "8RGBA", "16L", "16LA", "16RGB", "16RGBA"]


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
@pytest.mark.parametrize("kind", KINDS)
def test_png_and_tiff_keep_every_sample(file_format: str, kind: str) -> None:
    picture = _picture(kind)
    back = decode_picture(encode_picture(picture, file_format, metadata=METADATA))
    assert back.pixels.dtype == picture.pixels.dtype
    assert np.array_equal(back.pixels, picture.pixels)
    assert (back.alpha is None) == (picture.alpha is None)
    assert picture.alpha is None or np.array_equal(back.alpha, picture.alpha)


@pytest.mark.parametrize("kind", ["8RGB", "8RGBA"])
def test_webp_is_lossless_by_default_and_keeps_colours_under_transparency(kind: str) -> None:
    picture = _picture(kind)
    back = decode_picture(encode_picture(picture, "WEBP"))
    assert np.array_equal(back.pixels, picture.pixels)
    assert picture.alpha is None or np.array_equal(back.alpha, picture.alpha)


@pytest.mark.parametrize("file_format", MEDIA_TYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_picture_is_the_same_bytes(file_format: str, kind: str) -> None:
    picture = _picture(kind, icc=b"profile")
    assert encode_picture(picture, file_format, metadata=METADATA) == encode_picture(
        picture, file_format, metadata=METADATA
    )


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "AVIF"])
def test_profile_and_exif_survive_from_file_to_file(file_format: str) -> None:
    exif = exif_with(None, parameters="from the camera", record=b"")
    back = decode_picture(encode_picture(_picture("8RGB", icc=b"profile", exif=exif), file_format))
    assert back.icc == b"profile"
    assert back.exif == exif


COLOURS = {
    b"cICP": bytes((9, 16, 0, 1)),
    b"mDCV": bytes(range(24)),
    b"cLLI": bytes(range(8)),
    b"sRGB": b"\1",
    b"gAMA": struct.pack(">I", 100_000),
    b"cHRM": bytes(range(32)),
}


def test_what_a_png_file_says_of_its_colours_goes_into_the_next() -> None:
    plain = encode_picture(_picture("16RGB"))
    said = b"".join(chunk(name, content) for name, content in COLOURS.items())
    picture = decode_picture(plain[:33] + said + plain[33:])
    assert picture.png_colours == COLOURS
    assert said in encode_picture(picture)
    assert not encoding_warnings(picture, "PNG")
    assert "its colours" in encoding_warnings(picture, "WEBP")[-1]


def _says(name: bytes, content: bytes) -> dict:
    plain = encode_picture(_picture("8RGB"))
    return decode_picture(plain[:33] + chunk(name, content) + plain[33:]).png_colours


def test_a_chunk_of_another_length_says_nothing_of_colours() -> None:
    assert _says(b"gAMA", b"\0\1") == {}
    assert _says(b"gAMA", b"\0\0\0\1") == {b"gAMA": b"\0\0\0\1"}


@pytest.mark.parametrize("source", ["PNG", "JPEG"])
@pytest.mark.parametrize("target", ["PNG", "JPEG"])
def test_dots_per_inch_survive_from_file_to_file(source: str, target: str) -> None:
    picture = decode_picture(encode_picture(_picture("8RGB", dpi=(300, 150)), source))
    assert decode_picture(encode_picture(picture, target)).dpi == pytest.approx((300, 150), abs=0.02)
    assert decode_picture(encode_picture(_picture("8RGB"), source)).dpi is None


def test_dots_per_inch_turn_with_the_picture() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.new("RGB", (8, 4)).save(file, "JPEG", dpi=(300, 150), exif=exif)
    assert decode_picture(file.getvalue()).dpi == (150, 300)


def test_more_dots_than_jpeg_counts_are_left_out() -> None:
    assert decode_picture(encode_picture(_picture("8RGB", dpi=(70_000.0, 70_000.0)), "JPEG")).dpi is None


def test_jpeg_lays_transparency_on_white() -> None:
    clear = Picture(np.zeros((16, 16, 3), np.uint16), np.zeros((16, 16), np.uint16))
    assert decode_picture(encode_picture(clear, "JPEG")).pixels.min() == 255


@pytest.mark.parametrize("file_format", ["JPEG", "AVIF", "WEBP"])
def test_lossy_files_are_close_and_smaller_with_less_quality(file_format: str) -> None:
    y, x = np.mgrid[:64, :64]
    smooth = Picture(np.stack([y * 3, x * 3, (y + x) * 2], axis=-1).astype(np.uint8))
    fine, coarse = (encode_picture(smooth, file_format, quality=quality) for quality in (95, 10))
    assert len(coarse) < len(fine)
    assert np.abs(decode_picture(fine).pixels.astype(int) - smooth.pixels).mean() < 3


@pytest.mark.parametrize(
    ("file_format", "kind", "options", "words"),
    [
        ("PNG", "16RGBA", {}, []),
        ("TIFF", "16RGBA", {}, []),
        ("WEBP", "8RGBA", {}, []),
        ("WEBP", "8RGB", {"quality": 90}, ["lossy"]),
        ("WEBP", "16RGB", {}, ["8 bits"]),
        ("JPEG", "8RGB", {}, ["lossy"]),
        ("JPEG", "16RGBA", {}, ["lossy", "8 bits", "transparency"]),
        ("AVIF", "8RGBA", {}, ["lossy"]),
    ],
)
def test_what_a_format_does_not_keep_is_told(file_format: str, kind: str, options: dict, words: list) -> None:
    warnings = encoding_warnings(_picture(kind), file_format, **options)
    assert len(warnings) == len(words)
    assert all(word in warning for word, warning in zip(words, warnings, strict=True))


def test_metadata_too_large_for_jpeg_loses_its_record_and_says_so() -> None:
    metadata = ResultMetadata("p", {"mask": "x" * 70_000})
    picture = _picture("8RGB")
    found = read_metadata(encode_picture(picture, "JPEG", metadata=metadata))
    assert found == ResultMetadata("p")
    assert "left out" in encoding_warnings(picture, "JPEG", metadata=metadata)[-1]
    assert read_metadata(encode_picture(picture, "WEBP", metadata=metadata)) == metadata


@pytest.mark.parametrize("file_format", MEDIA_TYPES)
def test_a_record_too_large_to_be_read_again_is_left_out_and_told(file_format: str) -> None:
    empty = len(ResultMetadata("", {"mask": ""}).record_json())
    picture = _picture("8RGB")
    for size, is_kept in ((MAX_TEXT_BYTES, file_format != "JPEG"), (MAX_TEXT_BYTES + 1, False)):
        metadata = ResultMetadata("p", {"mask": "x" * (size - empty)})
        found = read_metadata(encode_picture(picture, file_format, metadata=metadata))
        assert found == (metadata if is_kept else ResultMetadata("p"))
        warnings = encoding_warnings(picture, file_format, metadata=metadata)
        assert sum("left out" in warning for warning in warnings) == (not is_kept)


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP", "AVIF"])
def test_exif_that_cannot_be_written_again_is_told(file_format: str) -> None:
    picture = _picture("8RGB", exif=b"II*\0" + bytes(3))
    assert read_metadata(encode_picture(picture, file_format, metadata=METADATA)) == METADATA
    assert "EXIF" in encoding_warnings(picture, file_format, metadata=METADATA)[-1]


def test_exif_too_large_for_jpeg_is_told() -> None:
    camera = Image.Exif()
    camera[0x9C9E] = bytes(66_000)
    picture = _picture("8RGB", exif=camera.tobytes().removeprefix(b"Exif\0\0"))
    for metadata in (None, METADATA):
        assert read_metadata(encode_picture(picture, "JPEG", metadata=metadata)) == metadata
        assert "EXIF" in encoding_warnings(picture, "JPEG", metadata=metadata)[-1]


def test_other_formats_and_qualities_are_refused() -> None:
    with pytest.raises(ImageFormatError):
        encode_picture(_picture("8L"), "DDS")
    for quality in (0, 101, 85.5, "high"):
        with pytest.raises(ImageError):
            encode_picture(_picture("8L"), "JPEG", quality=quality)


def test_a_side_that_the_format_cannot_hold_is_refused() -> None:
    wide = Picture(np.zeros((1, 16_384), np.uint8))
    with pytest.raises(ImageTooLarge):
        encode_picture(wide, "WEBP")
    assert encode_picture(wide, "PNG")


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1)])
@pytest.mark.parametrize("file_format", MEDIA_TYPES)
def test_thin_pictures_can_be_written(file_format: str, size: tuple) -> None:
    back = decode_picture(encode_picture(_picture("8RGB", *size), file_format))
    assert (back.height, back.width) == size
