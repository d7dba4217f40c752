"""Every mode of Pillow that holds 8 or 16 bits a sample can be read."""

import numpy as np
import pytest
from PIL import Image, ImageCms

from retouch.errors import ImageFormatError
from retouch.imaging.from_pillow import samples_of

RNG = np.random.default_rng(0)
RGBA = RNG.integers(0, 256, (6, 5, 4), dtype=np.uint8)


@pytest.mark.parametrize("mode", ["1", "L"])
def test_grey_stays_grey(mode: str) -> None:
    image = Image.fromarray(RGBA[..., 0]).convert(mode)
    pixels, alpha = samples_of(image)
    assert np.array_equal(pixels, image.convert("L"))
    assert alpha is None


@pytest.mark.parametrize("mode", ["RGB", "RGBX", "P", "YCbCr", "HSV"])
def test_colours_become_rgb(mode: str) -> None:
    image = Image.fromarray(RGBA[..., :3]).convert(mode)
    pixels, alpha = samples_of(image)
    assert np.array_equal(pixels, image.convert("RGB"))
    assert alpha is None


def test_grey_with_alpha_keeps_both() -> None:
    pixels, alpha = samples_of(Image.fromarray(RGBA[..., :2].copy()))
    assert np.array_equal(pixels, RGBA[..., 0])
    assert np.array_equal(alpha, RGBA[..., 1])


def test_premultiplied_colours_are_divided_by_alpha() -> None:
    image = Image.fromarray(RGBA)
    pixels, alpha = samples_of(image.convert("RGBa"))
    assert np.array_equal(alpha, RGBA[..., 3])
    seen = RGBA[..., 3] > 128
    assert np.abs(pixels[seen].astype(int) - RGBA[..., :3][seen]).max() <= 2


@pytest.mark.parametrize("mode", ["I;16", "I;16B"])
def test_sixteen_bits_are_kept(mode: str) -> None:
    samples = RNG.integers(0, 65536, (6, 5), dtype=np.uint16)
    data = samples.astype(">u2" if mode.endswith("B") else "<u2").tobytes()
    pixels, _ = samples_of(Image.frombytes(mode, (5, 6), data))
    assert pixels.dtype == np.uint16
    assert np.array_equal(pixels, samples)


def test_a_colour_key_becomes_alpha() -> None:
    image = Image.fromarray(np.array([[3, 4]], np.uint8))
    image.info["transparency"] = 4
    pixels, alpha = samples_of(image)
    assert np.array_equal(pixels, [[3, 4]])
    assert np.array_equal(alpha, [[255, 0]])


def test_a_broken_cmyk_profile_falls_back_to_the_plain_formula() -> None:
    image = Image.new("CMYK", (4, 4), (0, 255, 255, 0))
    image.info["icc_profile"] = b"no profile"
    assert np.array_equal(samples_of(image)[0][0, 0], [255, 0, 0])


def test_a_profile_of_another_colour_space_falls_back_too() -> None:
    image = Image.new("CMYK", (4, 4), (0, 255, 255, 0))
    image.info["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.array_equal(samples_of(image)[0][0, 0], [255, 0, 0])


@pytest.mark.parametrize("mode", ["F", "I", "LAB"])
def test_other_samples_are_refused_with_a_hint(mode: str) -> None:
    with pytest.raises(ImageFormatError) as caught:
        samples_of(Image.new(mode, (2, 2)))
    assert caught.value.hint
