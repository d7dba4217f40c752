"""Our TIFF files are read by others."""

import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from retouch.imaging.picture import Picture
from retouch.imaging.tiff_writer import encode_tiff

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(70, 51), (70, 51, 3), (3, 1, 3), (1, 200_000, 3)])
@pytest.mark.parametrize("has_alpha", [False, True])
def test_libtiff_reads_the_samples(dtype: type, shape: tuple, has_alpha: bool) -> None:
    peak = np.iinfo(dtype).max + 1
    pixels = RNG.integers(0, peak, shape, dtype=dtype)
    alpha = RNG.integers(0, peak, shape[:2], dtype=dtype) if has_alpha else None
    data = encode_tiff(Picture(pixels, alpha), description="", record=b"")
    planes = pixels if alpha is None else np.dstack((pixels, alpha))
    assert np.array_equal(imagecodecs.tiff_decode(data), planes)


@pytest.mark.parametrize(("shape", "mode"), [((70, 51), "L"), ((700, 510, 3), "RGB")])
def test_pillow_reads_the_samples_and_the_texts(shape: tuple, mode: str) -> None:
    pixels = RNG.integers(0, 256, shape, dtype=np.uint8)
    data = encode_tiff(Picture(pixels, icc=b"profile"), description="hello", record=b"record")
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == mode
        assert np.array_equal(image, pixels)
        assert image.info["icc_profile"] == b"profile"
        assert image.tag_v2[270] == "hello"
        assert image.tag_v2[65_001] == b"record"
