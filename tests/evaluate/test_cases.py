from collections import Counter

import numpy as np
import pytest

from retouch.data.compose import is_held_out
from retouch.errors import BadInput
from retouch.evaluate.cases import HOLE_GREY, Quota, rows_by_group, standard_set
from retouch.evaluate.colour_judge import is_neutral


def test_the_set_fills_its_quota(cases):
    assert Counter(case.group for case in cases) == dict.fromkeys(
        ("held-out", "own colour", "seen", "background"), 4
    )
    assert [case.number for case in cases] == list(range(16))


def test_the_same_seed_gives_the_same_set_and_another_seed_another(data_folder):
    quota = Quota(2, 0, 0, 1)
    one, two = (standard_set(data_folder, quota, size=32, seed=3) for _ in range(2))
    other = standard_set(data_folder, quota, size=32, seed=4)
    assert all((a.truth == b.truth).all() and a.prompt == b.prompt for a, b in zip(one, two))
    assert any((a.truth != b.truth).any() for a, b in zip(one, other))
    assert {case.seed for case in one}.isdisjoint(case.seed for case in other)


def test_held_out_cases_ask_for_combinations_that_training_never_shows(cases):
    for case in cases:
        if case.group in ("held-out", "seen"):
            held = is_held_out(case.concept, case.colour)
            assert held == (case.group == "held-out")
            assert is_neutral(case.truth, case.mask)


def test_backgrounds_and_own_colours_ask_for_nothing_else(cases):
    assert all(case.concept is None for case in cases if case.group == "background")
    assert all(case.concept and case.colour is None for case in cases if case.group == "own colour")


def test_nothing_of_the_truth_shines_through_the_hole(cases):
    for case in cases:
        assert (case.visible[case.mask] == HOLE_GREY).all()
        assert (case.visible[~case.mask] == case.truth[~case.mask]).all()


def test_masks_over_the_whole_picture_keep_to_their_share(cases):
    for group in ("held-out", "own colour", "seen"):
        assert sum(case.is_whole for case in cases if case.group == group) <= 1


def test_a_crop_is_the_masks_box(cases):
    case = next(case for case in cases if not case.is_whole)
    crop = case.crop(case.mask)
    assert crop.sum() == case.mask.sum()
    assert all(edge.any() for edge in (crop[0], crop[-1], crop[:, 0], crop[:, -1]))


def test_groups_cover_every_case_and_masks_are_told_apart(cases):
    rows = rows_by_group(cases)
    assert sorted(k for name in ("objects", "background") for k in rows[name]) == list(range(16))
    kinds = [k for name, found in rows.items() if name.startswith("mask: ") for k in found]
    assert sorted(kinds) == sorted(rows["objects"])
    for k in rows.get("mask: box", []):
        left, top = (int(np.flatnonzero(cases[k].mask.any(axis))[0]) for axis in (0, 1))
        assert cases[k].mask[top, left]


def test_new_sprites_belong_to_objects_with_held_out_pictures(cases):
    assert {case.concept for case in cases if case.is_new_sprite} <= {"bench", "ball"}


def test_data_without_the_wanted_scenes_is_an_error(data_folder, monkeypatch):
    monkeypatch.setattr("retouch.evaluate.cases._PATIENCE", 20)
    monkeypatch.setattr("retouch.evaluate.colour_judge.NEUTRAL_CAST", -1.0)
    with pytest.raises(BadInput, match="no scenes of the group 'held-out'"):
        standard_set(data_folder, Quota(1, 0, 0, 0, whole_share=0), size=32)


def test_quotas_add_up():
    quick = Quota.quick(100)
    assert (quick.held_out, quick.own_colour, quick.seen, quick.background) == (60, 20, 20, 0)
    assert Quota.of(200) == Quota(200, 40, 40, 100, photograph=100)


def test_a_small_model_is_asked_for_what_it_can_name(data_folder):
    named = frozenset({"park", "wooden", "bench", "ball"})
    cases = standard_set(data_folder, Quota(0, 4, 4, 0, whole_share=0), size=32, words=named)
    assert {case.concept for case in cases} <= {"bench", "ball"}


def test_photographs_follow_the_other_cases_with_holes_of_every_shape(data_folder):
    cases = standard_set(data_folder, Quota(1, 0, 0, 1, whole_share=0, photograph=8), size=48)
    found = [case for case in cases if case.group == "photograph"]
    assert [case.number for case in cases] == list(range(10))
    assert cases[2:] == found
    assert all(case.concept is None and not case.is_whole for case in found)
    assert len({case.mask.tobytes() for case in found}) == 8
    assert rows_by_group(cases)["photograph"] == list(range(2, 10))
