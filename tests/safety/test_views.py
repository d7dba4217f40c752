"""No part of a picture goes unseen."""

import numpy as np
import pytest

from retouch.imaging.picture import Picture
from retouch.safety.views import views_of


def black(height: int, width: int) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def centre(view: np.ndarray) -> np.ndarray:
    """What a checker with a square crop of 7/8 sees of a view."""
    rim = view.shape[0] // 16
    return view[rim : view.shape[0] - rim, rim : view.shape[1] - rim]


def test_square_picture_is_one_view_of_itself() -> None:
    picture = Picture(np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8))
    (view,) = views_of(picture)
    assert view.name == "whole"
    assert (view.pixels == picture.pixels).all()


@pytest.mark.parametrize("size", [(300, 320), (300, 400), (512, 2048), (100, 3000), (1, 1000), (7, 9)])
@pytest.mark.parametrize("turned", [False, True])
def test_views_are_square_and_together_show_every_pixel(size: tuple[int, int], turned: bool) -> None:
    height, width = size[::-1] if turned else size
    for x in {0, width // 3, width - 1}:
        for y in {0, height // 2, height - 1}:
            pixels = black(height, width)
            pixels[y, x] = (255, 0, 0)
            views = views_of(Picture(pixels))
            assert all(view.pixels.shape == (len(view.pixels),) * 2 + (3,) for view in views)
            reds = [(view.pixels == (255, 0, 0)).all(-1).any() for view in views]
            assert reds[0]
            assert len(reds) == 1 or any(reds[1:])


def test_what_a_tile_shows_at_its_end_the_next_shows_in_its_middle() -> None:
    pixels = black(400, 1600)
    pixels[:, 390:410] = 255
    seen = [centre(view.pixels).any() for view in views_of(Picture(pixels))[1:]]
    assert any(seen)


def test_panorama_needs_a_bounded_number_of_views() -> None:
    assert len(views_of(Picture(black(1, 16_384)))) < 200


def test_views_of_the_longest_pictures_stay_small() -> None:
    assert max(view.pixels.nbytes for view in views_of(Picture(black(2, 16_384)))) <= 3 * 4096**2


def test_small_repainted_part_is_shown_on_its_own_with_its_surroundings() -> None:
    pixels = black(1000, 1000)
    pixels[900:920, 10:30] = 255
    focus = views_of(Picture(pixels), focus=(10, 900, 30, 920))[-1]
    assert focus.name == "focus"
    assert focus.pixels.shape[0] <= 45
    assert (focus.pixels == 255).any()
    assert len(views_of(Picture(pixels), focus=(0, 0, 900, 900))) == 1
    assert len(views_of(Picture(pixels), focus=(5, 5, 5, 5))) == 1


def test_deep_and_grey_pictures_become_eight_bit_colour() -> None:
    deep = Picture(np.full((8, 8), 65535, np.uint16))
    (view,) = views_of(deep)
    assert view.pixels.dtype == np.uint8
    assert view.pixels.shape == (8, 8, 3)
    assert (view.pixels == 255).all()
