from dataclasses import replace

import numpy as np
import pytest

from retouch.data.sprites import SpritePack
from retouch.evaluate.baselines import DiffusionFreePainter
from retouch.evaluate.paste import PastePainter
from retouch.evaluate.scoring import paint_and_judge


@pytest.fixture
def paste(data_folder):
    return PastePainter(data_folder)


def test_a_pasted_sprite_is_taken_for_the_object(paste, cases, judge):
    objects = [case for case in cases if case.concept is not None]
    opinions = paint_and_judge(paste, objects, judge).opinions
    plain = paint_and_judge(DiffusionFreePainter("telea"), objects, judge).opinions
    assert np.mean([o.is_asked_object for o in opinions]) > np.mean([o.is_asked_object for o in plain])
    coloured = [o.is_asked_colour for o in opinions if o.is_asked_colour is not None]
    assert np.mean(coloured) > 0.7


def test_removals_are_telea_s_and_kept_pixels_stay(paste, cases):
    for case, picture, plain in zip(cases, paste.paint(cases), DiffusionFreePainter("telea").paint(cases)):
        assert (picture[~case.mask] == case.truth[~case.mask]).all()
        assert (picture != plain).any() == (case.concept is not None)


def test_one_sprite_is_always_the_same_and_any_sprite_depends_on_the_seed(data_folder, cases):
    case = replace(next(case for case in cases if case.concept == "bench"), colour=None)
    seeds = [replace(case, seed=seed) for seed in range(12)]
    sprites = {SpritePack.open(data_folder).sprite(k).pixels.shape for k in range(2)}
    assert len(sprites) == 2

    def spread(painter):
        return np.stack(painter.paint(seeds)).astype(float).std(axis=0)[case.mask].mean()

    assert spread(PastePainter(data_folder, choice="picture")) > 1.2 * spread(PastePainter(data_folder))


def test_an_object_without_a_picture_is_left_out(paste, cases):
    case = replace(cases[0], concept="zeppelin")
    assert (paste.paint([case])[0] == DiffusionFreePainter("telea").paint([case])[0]).all()
