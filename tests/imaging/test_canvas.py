"""The canvas is the region of the float picture, made without holding that picture."""

import tracemalloc

import numpy as np
import pytest

from retouch.imaging.canvas import canvas_of
from retouch.imaging.morphology import crop
from retouch.imaging.picture import Picture
from retouch.imaging.region import plan_region

HEIGHT, WIDTH = 90, 70


@pytest.fixture
def mask() -> np.ndarray:
    marked = np.zeros((HEIGHT, WIDTH), bool)
    marked[30:50, 20:50] = True
    return marked


@pytest.mark.parametrize("mode", ["whole", "masked"])
@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH), (HEIGHT, WIDTH, 3)])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_the_canvas_equals_the_region_of_the_whole_float_picture(
    mask: np.ndarray, mode: str, shape: tuple[int, ...], depth: type
) -> None:
    samples = np.random.default_rng(0).integers(0, np.iinfo(depth).max, shape, dtype=depth, endpoint=True)
    picture = Picture(samples)
    region = plan_region(mask, mode=mode, native_size=32, size_multiple=8)
    assert region.scaled != region.box_size
    unit = picture.to_unit()
    assert np.array_equal(canvas_of(picture, region), region.scale(crop(unit, region.box)))
    unit[mask] = 0.5
    assert np.array_equal(canvas_of(picture, region, hidden=mask), region.scale(crop(unit, region.box)))


def test_a_crop_of_a_large_picture_takes_the_memory_of_the_crop() -> None:
    pixels = np.zeros((1000, 1500, 3), np.uint8)
    mask = np.zeros((1000, 1500), bool)
    mask[400:420, 400:420] = True
    region = plan_region(mask, mode="masked", native_size=64, size_multiple=8)
    tracemalloc.start()
    canvas_of(Picture(pixels), region, hidden=mask)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < pixels.nbytes / 4
