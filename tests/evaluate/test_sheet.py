import numpy as np
import pytest

from retouch.evaluate.baselines import TruthPainter
from retouch.evaluate.scoring import paint_and_judge
from retouch.evaluate.sheet import contact_sheet, fill_sheet, outlined


@pytest.fixture(scope="module")
def painted(judge, cases):
    return paint_and_judge(TruthPainter(), cases, judge)


def test_a_sheet_shows_hole_truth_and_fill_side_by_side(painted, cases):
    sheet = np.asarray(contact_sheet(painted, rows=[0], columns=1))
    strip = sheet[8 : 8 + 32, 8 : 8 + 96]
    expected = np.concatenate([cases[0].visible, outlined(cases[0].truth, cases[0].mask), cases[0].truth], axis=1)
    assert (strip == expected).all()


def test_a_sheet_has_at_most_its_limit_of_cells(painted):
    one = contact_sheet(painted, limit=1, columns=4)
    four = contact_sheet(painted, limit=4, columns=4)
    eight = contact_sheet(painted, limit=8, columns=4)
    assert four.width > one.width
    assert eight.width == four.width
    assert eight.height > four.height


def test_no_cases_make_an_empty_sheet(painted):
    assert contact_sheet(painted, rows=[]).size == (1, 1)


def test_the_outline_stays_inside_the_mask_and_off_the_frame():
    mask = np.zeros((12, 12), dtype=bool)
    mask[3:9, 6:] = True
    drawn = outlined(np.zeros((12, 12, 3), dtype=np.uint8), mask)
    line = drawn[..., 0] == 255
    assert not line[~mask].any()
    assert line[3, 6:].all()
    assert not line[4:8, 11].any()
    assert not outlined(np.zeros((4, 4, 3), np.uint8), np.ones((4, 4), bool)).any()


def test_fills_without_a_judge_are_shown_reduced(cases):
    pairs = [(case, case.truth) for case in cases[:2]]
    sheet = fill_sheet(pairs, side_px=16)
    assert sheet.width <= 3 * 16 + 16
