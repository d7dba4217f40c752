"""A result's lists are in the order of its seeds, and `save` keeps the full depth."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retouch.errors import ImageFormatError
from retouch.imaging.decode import decode_picture
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
