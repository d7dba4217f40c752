from dataclasses import replace

import numpy as np
import pytest

from retouch.evaluate.baselines import TruthPainter
from retouch.evaluate.paste import PastePainter
from retouch.evaluate.variety import MEASURES, SEEDS, count_different, one_for_each_object, variety


def test_pictures_within_the_threshold_of_one_another_are_one_picture():
    places = np.array([0.0, 0.1, 1.0, 1.1, 2.0])
    distances = np.abs(places[:, None] - places)
    assert count_different(distances, 0.5) == 3
    assert count_different(distances, 0.05) == 5
    assert count_different(distances, 9.0) == 1
    assert count_different(np.zeros((0, 0)), 0.5) == 0


def test_one_case_stands_for_each_object(cases):
    chosen = one_for_each_object(cases, 3)
    assert len({case.concept for case in chosen}) == len(chosen) == 3
    assert not any(case.is_whole for case in chosen)
    assert [(case.prompt, case.colour) for case in chosen] == [(f"a {case.concept}", None) for case in chosen]


@pytest.fixture
def several(cases):
    """Objects that have two training pictures or more."""
    return [case for case in one_for_each_object(cases, 9) if case.concept != "cup"]


def test_the_same_sprite_is_one_picture_and_several_sprites_are_several(data_folder, several, judge):
    lookups = [PastePainter(data_folder, choice=choice) for choice in ("picture", "colour")]
    told = variety([*lookups, TruthPainter()], PastePainter(data_folder), several, judge)
    assert [list(scores) for scores in told.values()] == [list(MEASURES)] * 4
    same, some, frozen = told["sprite pasted"], told["any sprite pasted"], told["truth"]
    assert same["pair_distance"].value < told["sprite pasted in any colour"]["pair_distance"].value
    assert same["different_pictures"].value < some["different_pictures"].value <= SEEDS
    assert same["pair_distance"].value < some["pair_distance"].value
    assert frozen["different_pictures"].value <= 1
    assert frozen["pixel_deviation"].value == 0
    assert frozen["three_or_more"].value == 0


def test_what_the_judge_does_not_take_for_the_thing_is_no_picture_of_it(data_folder, several, judge):
    class Noise(TruthPainter):
        name = "noise"

        def paint(self, cases):
            shape = cases[0].truth.shape
            return [np.random.default_rng(case.seed).integers(0, 256, shape, dtype=np.uint8) for case in cases]

    told = variety([Noise()], PastePainter(data_folder), several, _only_knows_others(judge))
    assert told["noise"]["different_pictures"].value == 0
    assert told["noise"]["pixel_deviation"].value > 50


def _only_knows_others(judge):
    """A judge that never names the asked object among its five likeliest."""

    class Blind:
        features = judge.features

        @staticmethod
        def opinions(features, pictures, cases):
            return [replace(opinion, rank=6) for opinion in judge.opinions(features, pictures, cases)]

    return Blind()
