import numpy as np
import pytest

from retouch.data.grounds import GROUNDS, draw_ground
from retouch.data.noise import noise


@pytest.mark.parametrize("name", list(GROUNDS))
def test_a_ground_has_its_shape_varies_by_seed_and_repeats_by_seed(name: str):
    first, again, other = (draw_ground(name, np.random.default_rng(seed), 48) for seed in (1, 1, 2))
    assert first.shape == (48, 48, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert 20 < first.mean() < 252


def test_grass_is_green_sea_is_blue_and_snow_is_pale_below_the_horizon():
    def low(name: str) -> np.ndarray:
        rngs = (np.random.default_rng(seed) for seed in range(6))
        return np.mean([draw_ground(name, rng, 48)[36:].mean((0, 1)) for rng in rngs], axis=0)

    assert low("grass").argmax() == 1
    assert low("sea").argmax() == 2
    assert low("snow").min() > 190


def test_painted_walls_and_cloth_come_in_every_hue():
    for name in ("painted-wall", "cloth"):
        strongest = {
            int(draw_ground(name, np.random.default_rng(seed), 24).mean((0, 1)).argmax()) for seed in range(24)
        }
        assert strongest == {0, 1, 2}


def test_noise_fills_zero_to_one():
    field = noise(np.random.default_rng(0), 32, 4)
    assert field.min() == 0
    assert field.max() == pytest.approx(1)


def test_an_unknown_ground_is_an_error():
    with pytest.raises(KeyError):
        draw_ground("lava", np.random.default_rng(0), 8)
