import numpy as np
import pytest

from retouch.evaluate.photographs import PHOTOGRAPHS, photograph_crop


@pytest.mark.parametrize("number", range(len(PHOTOGRAPHS)))
def test_every_photograph_is_at_hand_under_a_licence_that_lets_it_be_shown(number):
    crop = photograph_crop(number, 64, np.random.default_rng(number))
    assert (crop.shape, crop.dtype) == ((64, 64, 3), np.uint8)
    assert crop.std() > 5
    assert PHOTOGRAPHS[number].licence in ("public domain", "CC0-1.0")


def test_crops_are_seeded_and_the_numbers_go_around():
    one, again = (photograph_crop(2, 32, np.random.default_rng(5)) for _ in range(2))
    assert (one == again).all()
    assert (photograph_crop(2 + len(PHOTOGRAPHS), 32, np.random.default_rng(5)) == one).all()
    assert (photograph_crop(2, 32, np.random.default_rng(6)) != one).any()
