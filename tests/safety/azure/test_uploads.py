"""What is sent fits the service, and leaves nothing unseen."""

import io
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image
from tests.safety.azure.service import MAX_BYTES, MAX_SIDE, MIN_SIDE

from retouch.safety.azure.uploads import uploads_of
from retouch.safety.views import View

RNG = np.random.default_rng(0)


def sent(pixels: np.ndarray) -> list[np.ndarray]:
    return [np.asarray(Image.open(io.BytesIO(file))) for _, file in uploads_of(View("whole", pixels))]


SIZES = [(1, 1), (49, 300), (2048, 2048), (5000, 300), (300, 5000), (3, 16_384), (16_384, 1), (99, 16_384)]


@pytest.mark.parametrize("size", SIZES)
def test_files_keep_the_limits(size: tuple[int, int]) -> None:
    files = list(uploads_of(View("whole", np.full((*size, 3), 90, np.uint8))))
    for _, file in files:
        image = Image.open(io.BytesIO(file))
        assert MIN_SIDE <= min(image.size) <= max(image.size) <= MAX_SIDE
        assert image.format == "JPEG"
    assert len(files) <= 10


def test_noise_at_the_largest_size_stays_below_the_bytes_allowed() -> None:
    pixels = RNG.integers(0, 256, (3000, 3000, 3), dtype=np.uint8)
    (one,) = uploads_of(View("whole", pixels[:2048, :2048]))
    assert len(one[1]) <= MAX_BYTES
    (scaled,) = uploads_of(View("whole", pixels))
    assert len(scaled[1]) <= MAX_BYTES


def test_an_ordinary_picture_is_one_file_of_its_own_pixels() -> None:
    pixels = np.kron(RNG.integers(0, 256, (8, 8, 3)), np.ones((32, 32, 1))).astype(np.uint8)
    (shown,) = sent(pixels)
    assert np.abs(shown.astype(int) - pixels).mean() < 3


def test_parts_of_a_long_picture_reach_both_ends_and_overlap() -> None:
    ramp = np.repeat(np.linspace(0, 255, 9000).astype(np.uint8)[None, :, None], 3, axis=2)
    pixels = np.repeat(ramp, 120, axis=0)
    for turned in (pixels, pixels.transpose(1, 0, 2)):
        parts = [part if turned is pixels else part.transpose(1, 0, 2) for part in sent(turned)]
        edges = [(part[:, :8].mean(), part[:, -8:].mean()) for part in parts]
        assert edges[0][0] < 3
        assert edges[-1][1] > 252
        assert all(after[0] < before[1] - 3 for before, after in pairwise(edges))
