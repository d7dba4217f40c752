from pathlib import Path

import numpy as np
import pytest

from retouch.data.colour import recolour
from retouch.data.solids import ball
from retouch.data.sprites import SIDE_PX, SpritePack, reduce


def test_reducing_trims_and_bounds_the_longest_side():
    picture = np.zeros((600, 600, 4), dtype=np.uint8)
    picture[100:500, 250:350] = (200, 30, 30, 255)
    small = reduce(picture)
    assert small.shape == (SIDE_PX, SIDE_PX // 4, 4)
    assert (small[..., 3] == 255).mean() > 0.95
    assert np.abs(small[5:-5, 5:-5, 0].astype(int) - 200).max() <= 2


def test_hidden_colours_do_not_bleed_into_the_edge():
    picture = np.zeros((400, 400, 4), dtype=np.uint8)
    picture[..., 1] = 255
    picture[50:350, 50:350] = (200, 0, 0, 255)
    small = reduce(picture)
    assert small[small[..., 3] > 40][:, 1].max() <= 8


def test_small_pictures_are_not_enlarged():
    picture = np.full((20, 10, 4), 255, dtype=np.uint8)
    assert reduce(picture).shape == (20, 10, 4)


def test_a_transparent_picture_is_an_error():
    with pytest.raises(ValueError, match="transparent"):
        reduce(np.zeros((8, 8, 4), dtype=np.uint8))


def test_a_pack_recolours_as_the_plain_function_does(tmp_path: Path):
    record = {"concept": "ball", "kind": "3d", "licence": "Apache-2.0", "split": "train"}
    SpritePack.write(tmp_path, [ball((200, 60, 60), (9, 9, 200), stripes=1)], [record])
    sprite = SpritePack.open(tmp_path).sprite(0)
    assert sprite.concept == "ball"
    assert np.array_equal(sprite.painted("green", variant=2), recolour(sprite.pixels, "green", variant=2))
    assert sprite.painted(None) is sprite.pixels
