import numpy as np
import pytest

from retouch.data.shading import render_boxes
from retouch.data.solids import ball, bench, draw_solid, flower_vase
from retouch.data.vocabulary import concepts

DRAWN = sorted(
    key.removeprefix("drawn:") for concept in concepts() for key in concept.sprites if key.startswith("drawn:")
)


@pytest.mark.parametrize("name", DRAWN)
def test_every_drawn_sprite_of_the_vocabulary_can_be_drawn(name: str):
    stem = np.full((64, 64, 4), 255, dtype=np.uint8)
    picture = draw_solid(name, lambda _: stem)
    assert picture.shape == (256, 256, 4)
    opaque = (picture[..., 3] > 128).mean()
    assert 0.05 < opaque < 0.95


def test_a_ball_is_round():
    alpha = ball((200, 0, 0), (200, 0, 0), stripes=1)[..., 3] > 128
    assert alpha.mean() == pytest.approx(np.pi / 4, abs=0.02)


def test_light_comes_from_the_upper_left():
    picture = ball((150, 150, 150), (150, 150, 150), stripes=1).astype(int)
    assert picture[70:110, 70:110, 0].mean() > picture[150:190, 150:190, 0].mean() + 20


def test_a_nearer_box_hides_a_farther_one():
    red, blue = ((-1, -1, 0.5), (1, 1, 1), (250, 0, 0)), ((-1, -1, -1), (1, 1, -0.5), (0, 0, 250))
    for boxes in ([red, blue], [blue, red]):
        middle = render_boxes(boxes, yaw=0.1, pitch=0.1, side=64)[32, 32]
        assert middle[0] > middle[2]


def test_a_bench_turns_with_its_yaw():
    left, right = (bench(yaw=yaw, wood=(160, 100, 60), metal=(60, 60, 60)) for yaw in (-0.4, 0.4))
    assert not np.array_equal(left, right)


def test_flowers_stand_above_their_vase():
    stem = np.zeros((64, 64, 4), dtype=np.uint8)
    stem[:, 24:40] = (0, 200, 0, 255)
    picture = flower_vase(0, [stem] * 3)
    green = (picture[..., 1] > 150) & (picture[..., 0] < 50) & (picture[..., 3] > 200)
    assert green[:90].any()
    assert not green[200:].any()


def test_an_unknown_solid_is_an_error():
    with pytest.raises(KeyError):
        draw_solid("sphinx", lambda _: np.zeros((1, 1, 4), dtype=np.uint8))
