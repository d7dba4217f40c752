import numpy as np
import pytest

from retouch.data.household import HOUSEHOLD
from retouch.data.vocabulary import concepts


@pytest.mark.parametrize("name", list(HOUSEHOLD))
def test_a_thing_is_opaque_on_an_empty_ground(name: str):
    picture = HOUSEHOLD[name]()
    assert picture.shape[2] == 4
    opaque = (picture[..., 3] == 255).mean()
    assert 0.08 < opaque < 0.95
    assert np.array_equal(picture, HOUSEHOLD[name]())


def test_every_thing_is_a_sprite_of_its_concept():
    keys = {key: concept.name for concept in concepts() for key in concept.sprites}
    for name in HOUSEHOLD:
        assert keys[f"drawn:{name}"] == name.split("-")[0]
