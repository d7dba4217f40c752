"""Metadata is read back from every format, within limits."""

import zlib

import numpy as np
import pytest
from tests.imaging.hostile import IEND, idat, png_chunk, png_file

from retouch.errors import ImageError
from retouch.imaging.decode import decode_picture
from retouch.imaging.encode import MEDIA_TYPES, encode_picture
from retouch.imaging.metadata import ResultMetadata, pixel_hash, read_metadata
from retouch.imaging.picture import Picture

METADATA = ResultMetadata("ä 😀\nSteps: 20", {"seed": 7, "prompt": "ä 😀", "list": [1, 2.5, None]})
PICTURE = Picture(np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8))


@pytest.mark.parametrize("kind", MEDIA_TYPES)
def test_metadata_comes_back_from_every_format(kind: str) -> None:
    assert read_metadata(encode_picture(PICTURE, kind, metadata=METADATA)) == METADATA


@pytest.mark.parametrize("kind", MEDIA_TYPES)
def test_a_picture_without_metadata_has_none(kind: str) -> None:
    assert read_metadata(encode_picture(PICTURE, kind)) is None


@pytest.mark.parametrize(
    "text",
    [
        png_chunk(b"tEXt", b"parameters\0caf\xe9"),
        png_chunk(b"zTXt", b"parameters\0\0" + zlib.compress(b"caf\xe9")),
        png_chunk(b"iTXt", b"parameters\0\0\0\0\0" + "café".encode()),
        png_chunk(b"iTXt", b"parameters\0\1\0de\0titel\0" + zlib.compress("café".encode())),
    ],
)
def test_every_kind_of_png_text_is_read(text: bytes) -> None:
    found = read_metadata(png_file(text, idat(), IEND))
    assert found is not None
    assert found.parameters == "café"


def test_bombs_and_broken_texts_count_as_absent() -> None:
    bomb = zlib.compress(bytes(64 * 2**20), 9)
    for text in (
        png_chunk(b"zTXt", b"parameters\0\0" + bomb),
        png_chunk(b"iTXt", b"parameters\0\1\0\0\0" + bomb),
        png_chunk(b"iTXt", b"parameters\0"),
        png_chunk(b"tEXt", b"parameters"),
        png_chunk(b"iTXt", b"retouch\0\0\0\0\0[1, 2]"),
        png_chunk(b"iTXt", b"retouch\0\0\0\0\0{broken"),
        png_chunk(b"iTXt", b"retouch\0\0\0\0\0" + b"[" * 100_000),
    ):
        assert read_metadata(png_file(text, idat(), IEND)) is None


def test_other_bytes_are_no_picture() -> None:
    with pytest.raises(ImageError):
        read_metadata(b"nothing")


def test_the_same_record_is_the_same_text() -> None:
    one = ResultMetadata(record={"b": 1, "a": "ä"})
    assert one.record_json() == ResultMetadata(record={"a": "ä", "b": 1}).record_json() == '{"a":"ä","b":1}'
    assert ResultMetadata().record_json() == ""


def test_the_hash_is_of_samples_shape_and_depth_and_of_nothing_else() -> None:
    pixels = np.zeros((4, 6), np.uint8)
    plain = pixel_hash(Picture(pixels))
    assert plain == pixel_hash(Picture(pixels.copy(), icc=b"icc", exif=b"exif", source_format="PNG"))
    others = [
        Picture(pixels.reshape(6, 4)),
        Picture(pixels.astype(np.uint16)),
        Picture(pixels, pixels),
        Picture(np.zeros((4, 6, 3), np.uint8)),
        Picture(np.eye(4, 6, dtype=np.uint8)),
    ]
    assert len({plain, *map(pixel_hash, others)}) == 6


@pytest.mark.parametrize("kind", MEDIA_TYPES)
@pytest.mark.parametrize("source", ["JPEG", "WEBP", "AVIF"])
def test_a_result_made_of_a_result_says_nothing_of_the_first(source: str, kind: str) -> None:
    first = ResultMetadata("a SECRET\nSteps: 2, Version: retouch 1.0", {"prompt": "SECRET"})
    picture = decode_picture(encode_picture(PICTURE, source, metadata=first))
    for metadata in (None, METADATA):
        data = encode_picture(picture, kind, metadata=metadata)
        assert read_metadata(data) == metadata
        assert b"SECRET" not in data
        assert "SECRET".encode("utf-16-be") not in data
