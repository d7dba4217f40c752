import numpy as np
import pytest

from retouch.evaluate.holes import HOLES
from retouch.evaluate.metrics import mask_box


def _masks(name, count=30, size=(96, 128)):
    return [HOLES[name](np.random.default_rng(seed), size) for seed in range(count)]


@pytest.mark.parametrize("name", HOLES)
def test_holes_are_seeded_and_leave_much_of_the_picture(name):
    masks = _masks(name)
    assert all((a == b).all() for a, b in zip(masks, _masks(name)))
    assert all(mask.shape == (96, 128) and mask.dtype == np.bool_ for mask in masks)
    assert all(0.01 < mask.mean() < 0.6 for mask in masks)


def test_eight_shapes_differ_as_their_names_say():
    area = {name: np.mean([mask.mean() for mask in _masks(name)]) for name in HOLES}
    assert len(area) == 8
    assert area["small"] < 0.05 < area["box"] < 0.25 < area["large"]
    for mask in _masks("elongated"):
        left, top, right, bottom = mask_box(mask)
        sides = sorted([(right - left) / 128, (bottom - top) / 96])
        assert sides[1] > 4 * sides[0]
    for mask in _masks("at the border"):
        assert mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any()
    for name in ("round", "stroke", "outline"):
        assert not any(_is_box(mask) for mask in _masks(name))


def _is_box(mask):
    left, top, right, bottom = mask_box(mask)
    return mask[top:bottom, left:right].all()
