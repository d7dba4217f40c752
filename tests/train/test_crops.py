"""Which part of a picture is trained on."""

import numpy as np
import pytest

from retouch.train.crops import (
    CLOSEST,
    LONGEST,
    cut_mask,
    cut_picture,
    largest_box,
    nearest_shape,
    random_box,
    shapes,
)


@pytest.mark.parametrize(("size", "multiple"), [(512, 64), (128, 32), (768, 64)])
def test_shapes_keep_the_area_and_divide(size: int, multiple: int) -> None:
    found = shapes(size, multiple)
    assert found[0] == (size, size)
    assert len(found) > 2
    assert len(set(found)) == len(found)
    for height, width in found:
        assert height % multiple == width % multiple == 0
        assert height * width <= size * size
        assert max(height / width, width / height) <= LONGEST
        assert (width, height) in found


def test_a_picture_goes_where_least_of_it_is_lost() -> None:
    choices = shapes(512, 64)
    assert nearest_shape((3000, 4000), choices) == (448, 576)
    assert nearest_shape((4000, 3000), choices) == (576, 448)
    assert nearest_shape((1000, 1010), choices) == (512, 512)
    assert nearest_shape((100, 9000), choices) == (384, 640)


@pytest.mark.parametrize("picture", [(900, 1600), (1600, 900), (90, 91), (3000, 200)])
def test_boxes_lie_in_the_picture_in_the_shape_asked_for(picture: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    shape = (96, 160)
    whole = largest_box(picture, shape)
    for box in (whole, *(random_box(rng, picture, shape) for _ in range(50))):
        left, top, right, bottom = box
        assert min(left, top) >= 0
        assert right <= picture[1] + 1e-9
        assert bottom <= picture[0] + 1e-9
        assert (right - left) / (bottom - top) == pytest.approx(160 / 96)
        assert right - left >= CLOSEST * (whole[2] - whole[0]) - 1e-6
        # Never closer than the picture's own pixels, or than the picture allows.
        assert right - left >= min(160, whole[2] - whole[0]) - 1e-6


@pytest.mark.parametrize("picture", [(232, 306), (306, 232), (225, 295)])
def test_a_small_picture_is_cut_whatever_rounding_makes_of_its_sides(picture: tuple[int, int]) -> None:
    shape = nearest_shape(picture, shapes(512, 64))
    whole = largest_box(picture, shape)
    for seed in range(20):
        left, top, right, bottom = random_box(np.random.default_rng(seed), picture, shape)
        assert (right - left, bottom - top) == pytest.approx((whole[2] - whole[0], whole[3] - whole[1]))
        assert min(left, top) >= 0


def test_picture_and_mask_are_cut_alike() -> None:
    mask = np.zeros((80, 120), dtype=bool)
    mask[20:60, 30:90] = True
    picture = np.repeat(mask[..., None] * np.uint8(255), 3, axis=2)
    box = (10.0, 10.0, 106.0, 70.0)
    cut, hole = cut_picture(picture, box, (40, 64)), cut_mask(mask, box, (40, 64))
    assert hole.shape == (40, 64)
    assert ((cut[..., 0] > 127) == hole).mean() > 0.97


def test_a_stroke_thinner_than_a_pixel_stays() -> None:
    mask = np.zeros((400, 400), dtype=bool)
    mask[:, 200] = True
    assert cut_mask(mask, (0.0, 0.0, 400.0, 400.0), (40, 40)).any()
