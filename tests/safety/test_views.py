"""No part of a picture goes unseen."""

import numpy as np
import pytest

from retouch.imaging.picture import Picture
from retouch.imaging.to_pillow import to_pillow
from retouch.safety.views import Exhibit, View


def views_of(picture: Picture, repainted: np.ndarray | None = None) -> list[View]:
    return list(Exhibit(picture, repainted).views())


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
    focus = views_of(Picture(pixels), marked(1000, (10, 900, 30, 920)))[-1]
    assert focus.name == "focus"
    assert focus.pixels.shape[0] <= 45
    assert (focus.pixels == 255).any()
    assert len(views_of(Picture(pixels), marked(1000, (0, 0, 900, 900)))) == 1
    assert len(views_of(Picture(pixels), marked(1000))) == 1


def marked(side: int, *boxes: tuple[int, int, int, int]) -> np.ndarray:
    mask = np.zeros((side, side), bool)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = True
    return mask


def test_repainted_parts_that_lie_apart_are_shown_one_by_one() -> None:
    pixels = black(1000, 1000)
    boxes = [(10, 10, 110, 110), (800, 20, 900, 120), (400, 850, 500, 950)]
    for level, (left, top, right, bottom) in enumerate(boxes, 1):
        pixels[top:bottom, left:right] = level
    views = views_of(Picture(pixels), marked(1000, *boxes))
    assert [view.name for view in views] == ["whole", "focus 1/3", "focus 2/3", "focus 3/3"]
    shown = [set(np.unique(view.pixels)) & {1, 2, 3} for view in views[1:]]
    assert shown == [{1}, {2}, {3}]


def test_the_views_of_a_scattered_mask_are_few() -> None:
    scattered = np.random.default_rng(0).random((1000, 1000)) < 0.001
    assert len(views_of(Picture(black(1000, 1000)), scattered)) < 20


def test_deep_and_grey_pictures_become_eight_bit_colour() -> None:
    deep = Picture(np.full((8, 8), 65535, np.uint16))
    (view,) = views_of(deep)
    assert view.pixels.dtype == np.uint8
    assert view.pixels.shape == (8, 8, 3)
    assert (view.pixels == 255).all()


def test_sixteen_bits_are_judged_as_the_very_bytes_that_are_handed_out() -> None:
    every_value = Picture(np.arange(65536, dtype=np.uint16).reshape(256, 256))
    (view,) = views_of(every_value)
    assert (view.pixels[..., 0] == np.asarray(to_pillow(every_value))).all()


def test_transparency_is_seen_on_black_and_on_white() -> None:
    alpha = np.full((8, 8), 255, np.uint8)
    opaque = Picture(np.full((8, 8, 3), 200, np.uint8), alpha=alpha)
    assert [view.name for view in views_of(opaque)] == ["whole"]
    alpha = alpha.copy()
    alpha[0] = 0
    looks = {look.name: look.pixels for look in Exhibit(Picture(opaque.pixels, alpha=alpha)).looks()}
    assert list(looks) == ["whole", "whole on black", "whole on white"]
    assert [int(looks[name][0, 0, 0]) for name in looks] == [200, 0, 255]
    assert all((pixels[1:] == 200).all() for pixels in looks.values())


def test_white_is_the_ground_that_jpeg_files_are_laid_on() -> None:
    rng = np.random.default_rng(0)
    picture = Picture(
        rng.integers(0, 65536, (9, 7, 3)).astype(np.uint16), alpha=rng.integers(0, 65536, (9, 7)).astype(np.uint16)
    )
    white = next(look for look in Exhibit(picture).looks() if look.name == "whole on white")
    colours, alpha = np.split(np.asarray(to_pillow(picture)).astype(float), [3], axis=2)
    assert np.abs(white.pixels - (colours * alpha + 255 * (255 - alpha)) / 255).max() <= 0.5
