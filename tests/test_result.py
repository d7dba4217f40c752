"""A result's lists are in the order of its seeds, and `save` keeps the full depth."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retouch.errors import ImageFormatError
from retouch.imaging.decode import decode_picture
from retouch.imaging.picture import Picture
from retouch.imaging.save import format_of_path
from retouch.inpainter import Inpainter
from retouch.result import InpaintResult


@pytest.fixture(scope="module")
def result(inpainter: Inpainter) -> InpaintResult:
    image = np.random.default_rng(3).integers(0, 65536, (40, 50, 3), dtype=np.uint16)
    mask = np.zeros((40, 50), np.uint8)
    mask[10:30, 10:30] = 255
    return inpainter("a cat", image, mask, num_inference_steps=1, seed=5, num_images_per_prompt=2)


def test_lists_are_those_of_diffusers(result: InpaintResult) -> None:
    assert [image.mode for image in result.images] == ["RGB", "RGB"]
    assert (result.seeds, result.nsfw_content_detected) == ([5, 6], [False, False])
    assert np.array_equal(result.image, result.images[0])


def test_sixteen_bits_survive_from_array_to_file(result: InpaintResult, tmp_path: Path) -> None:
    warnings = result.save(tmp_path / "out.png", index=1)
    saved = decode_picture(tmp_path / "out.png")
    assert warnings == ()
    assert saved.pixels.dtype == np.uint16
    assert np.array_equal(saved.pixels, result.fills[1].picture.pixels)
    assert np.array_equal(saved.pixels[~result.mask], result.original.pixels[~result.mask])


def test_a_lossy_format_warns(result: InpaintResult, tmp_path: Path) -> None:
    assert result.save(tmp_path / "out.jpg")


def test_metadata_is_left_out_on_request(result: InpaintResult, tmp_path: Path) -> None:
    result.save(tmp_path / "bare.png", metadata=False)
    with Image.open(tmp_path / "bare.png") as image:
        assert "parameters" not in image.info


def test_a_suffix_that_cannot_be_written_is_an_error(result: InpaintResult, tmp_path: Path) -> None:
    with pytest.raises(ImageFormatError):
        result.save(tmp_path / "out.gif")


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "avif", "tiff"])
def test_encoding_gives_the_bytes_that_saving_writes(result: InpaintResult, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out.{suffix}"
    for options in ({}, {"index": 1, "metadata": False}, {"quality": 50}):
        result.save(path, **options)
        assert result.encode(format_of_path(path), **options) == path.read_bytes()


def test_a_format_that_cannot_be_written_is_an_error(result: InpaintResult) -> None:
    with pytest.raises(ImageFormatError):
        result.encode("GIF")  # type: ignore[arg-type]


def test_a_result_says_in_a_few_words_what_it_is(result: InpaintResult) -> None:
    assert repr(result.fills[0]) == "<Fill 50x40, seed 5, kept pixels identical>"
    assert repr(result.original) == "<Picture 50x40, uint16, RGB>"
    assert len(repr(replace(result, warnings=("mind the gap",))).splitlines()) == 4
    assert len(repr(result.request)) < 1000
    assert "array" not in repr(result) + repr(result.request)


def test_notebooks_show_the_pictures(result: InpaintResult) -> None:
    with Image.open(io.BytesIO(result.fills[0]._repr_png_())) as shown:
        assert (shown.size, shown.mode) == ((50, 40), "RGB")
    page = replace(result, warnings=("a <b> & c",))._repr_html_()
    assert page.count("data:image/png;base64,") == 2
    assert "seed 6" in page
    assert "a &lt;b&gt; &amp; c" in page
    large = replace(result.fills[0], picture=Picture(np.zeros((1000, 2000), np.uint8)))
    with Image.open(io.BytesIO(large._repr_png_())) as shown:
        assert shown.size == (768, 384)
