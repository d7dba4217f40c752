import numpy as np
import pytest

from retouch.data.colour import COLOURS, palette
from retouch.evaluate.colour_judge import is_neutral, light_cast, read_colour

SIDE = 48


def _scene(colour, ground=(140, 140, 136), texture=6):
    """A shaded disc of the colour on speckled ground, and a box mask around it."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2 + 0.5
    disc = x**2 + y**2 < 13**2
    picture = np.clip(np.array(ground) + rng.normal(0, texture, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
    from retouch.data.colour import SHADES

    centre = SHADES[colour].lightness
    shade = np.clip(centre + 0.06 * (-x - y) / 13, 0.03, 0.99)
    picture[disc] = palette(colour)[np.rint(shade * 255).astype(int)][disc]
    return picture, (abs(x) < 16) & (abs(y) < 16)


@pytest.mark.parametrize("colour", COLOURS)
def test_every_colour_word_is_read_back_from_a_shaded_disc(colour):
    picture, mask = _scene(colour)
    assert read_colour(picture, mask).word == colour


@pytest.mark.parametrize("colour", COLOURS)
def test_a_hole_over_everything_is_read_from_its_middle(colour):
    picture, mask = _scene(colour)
    assert read_colour(picture, np.ones_like(mask)).word == colour


def test_the_ground_around_the_hole_is_not_taken_for_the_fill():
    picture, mask = _scene("yellow", ground=(60, 110, 60))
    assert read_colour(picture, mask).word == "yellow"


def test_a_flat_hole_has_the_colour_of_its_ground():
    picture, mask = _scene("red", ground=(128, 128, 128), texture=0)
    picture[:] = 128
    assert read_colour(picture, mask).word == "grey"


def test_words_are_ordered_by_distance_and_the_margin_is_their_gap():
    reading = read_colour(*_scene("orange"))
    assert list(reading.distances) == sorted(reading.distances)
    assert sorted(reading.words) == sorted(COLOURS)
    assert reading.margin == pytest.approx(reading.distances[1] - reading.distances[0])


def test_warm_light_is_a_cast_and_grey_is_neutral():
    picture, mask = _scene("blue", ground=(200, 140, 70))
    assert light_cast(picture, mask) > 0.08
    assert not is_neutral(picture, mask)
    assert is_neutral(*_scene("blue"))


def test_the_hole_itself_casts_nothing():
    picture, mask = _scene("red", ground=(128, 128, 128), texture=0)
    assert light_cast(picture, mask) == pytest.approx(0, abs=1e-3)
    assert is_neutral(picture, np.ones_like(mask))


def test_an_empty_mask_is_refused():
    with pytest.raises(ValueError, match="no pixel"):
        read_colour(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), bool))
