from dataclasses import replace

import numpy as np
import pytest

from retouch.evaluate.baselines import GreyPainter, RingPainter, TruthPainter
from retouch.evaluate.cases import Quota, rows_by_group, standard_set
from retouch.evaluate.scoring import MEASURES, paint_and_judge, score


@pytest.fixture(scope="module")
def truths(judge, cases):
    return judge.features([case.truth for case in cases], cases)


def test_the_truth_is_at_no_distance_and_scores_what_it_can(judge, cases, truths):
    painted = paint_and_judge(TruthPainter(), cases, judge)
    scores = score(painted, truths, range(len(cases)))
    assert set(scores) == set(MEASURES)
    assert scores["frechet"].value == pytest.approx(0, abs=1e-3)
    assert scores["kernel"].value == pytest.approx(0, abs=1e-6)
    assert (scores["psnr_db"].value, scores["ssim"].value) == (60.0, pytest.approx(1))
    assert scores["kept_identical"].value == 1
    assert scores["object_top1"].value > 0.5


def test_grey_is_farther_and_has_a_seam(judge, cases, truths):
    rows = rows_by_group(cases)["objects"]
    grey = score(paint_and_judge(GreyPainter(), cases, judge), truths, rows)
    truth = score(paint_and_judge(TruthPainter(), cases, judge), truths, rows)
    assert grey["frechet"].value > truth["frechet"].value
    assert grey["seam_ratio"].value > truth["seam_ratio"].value
    assert grey["colour"].value < truth["colour"].value


def test_measures_without_cases_stay_unknown(judge, cases, truths):
    painted = paint_and_judge(TruthPainter(), cases, judge)
    backgrounds = score(painted, truths, rows_by_group(cases)["background"])
    assert backgrounds["object_top1"].count == 0
    assert backgrounds["frechet"].count == 0
    assert backgrounds["psnr_db"].count == 4
    objects = score(painted, truths, rows_by_group(cases)["objects"])
    assert np.isnan(objects["psnr_db"].value)


def test_a_thing_where_none_was_asked_for_counts(judge, cases, truths):
    painted = paint_and_judge(TruthPainter(), cases, judge)
    opinions = [replace(o, probability=0.9 if k % 2 else 0.5) for k, o in enumerate(painted.opinions)]
    rows = rows_by_group(cases)
    seen = score(replace(painted, opinions=opinions), truths, rows["background"])["thing_seen"]
    assert (seen.value, seen.count) == (0.5, 4)
    assert score(painted, truths, rows["objects"])["thing_seen"].count == 0


def test_one_changed_kept_pixel_is_no_identity(judge, cases, truths):
    class Careless(TruthPainter):
        def paint(self, cases):
            pictures = [picture.copy() for picture in super().paint(cases)]
            case = next(k for k, case in enumerate(cases) if not case.is_whole)
            pictures[case][~cases[case].mask] ^= 1
            return pictures

    kept = score(paint_and_judge(Careless(), cases, judge), truths, range(len(cases)))["kept_identical"]
    assert kept.value == pytest.approx(1 - 1 / kept.count)


def test_a_handful_of_pictures_has_no_distance(judge, cases, truths):
    scores = score(paint_and_judge(GreyPainter(), cases, judge), truths, rows_by_group(cases)["seen"])
    assert (scores["frechet"].count, scores["kernel"].count) == (0, 0)


def test_removals_are_scored_by_features_and_by_how_they_follow_their_surroundings(judge, data_folder):
    removals = standard_set(data_folder, Quota(0, 0, 0, 0, photograph=16), size=48)
    truths = judge.features([case.truth for case in removals], removals)

    def scores(painter):
        return score(paint_and_judge(painter, removals, judge), truths, range(len(removals)))

    truth, grey, flat = (scores(painter) for painter in (TruthPainter(), GreyPainter(), RingPainter()))
    assert truth["feature_distance"].value == pytest.approx(0, abs=1e-6)
    assert flat["feature_distance"].value > 0.01
    assert flat["colour_slope"].value == pytest.approx(1, abs=0.01)
    assert grey["colour_slope"].value == pytest.approx(0, abs=0.01)
    assert 0.5 < truth["colour_slope"].value < 1.5


def test_objects_have_no_measures_of_removal(judge, cases, truths):
    scores = score(paint_and_judge(TruthPainter(), cases, judge), truths, rows_by_group(cases)["objects"])
    assert (scores["feature_distance"].count, scores["colour_slope"].count) == (0, 0)
