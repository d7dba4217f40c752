import json

import pytest

from retouch.evaluate.baselines import GreyPainter, TruthPainter
from retouch.evaluate.cases import Quota
from retouch.evaluate.exemplars import ProbeRecipe
from retouch.evaluate.pocket_protocol import PocketRun, judge_worth, run_pocket
from retouch.evaluate.scoring import paint_and_judge


@pytest.fixture
def report(data_folder, judge, tmp_path, monkeypatch):
    monkeypatch.setattr("retouch.evaluate.exemplars.ProbeRecipe", lambda: ProbeRecipe(per_concept=60, size=32))
    run = PocketRun(data_folder, Quota(4, 2, 2, 2, whole_share=0), size=32, cache_dir=tmp_path / "cache")
    said = []
    made = run_pocket(run, [GreyPainter(), TruthPainter()], judge.extractor, out=tmp_path / "out", say=said.append)
    assert any("grey fill" in line for line in said)
    return made


def test_the_report_has_every_painter_group_and_the_judges_own_worth(report, tmp_path):
    told = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [painter["name"] for painter in told["painters"]] == ["grey fill", "truth"]
    assert {"objects", "held-out", "own colour", "seen", "background"} <= set(told["painters"][0]["scores"])
    assert len(told["painters"][0]["per_case"]) == 10
    assert next(iter(report.judge)) == "real held-out composites"
    assert all((tmp_path / "out" / name).is_file() for name, _ in report.sheets)


def test_the_truth_beats_grey_and_the_difference_says_so(report):
    grey, truth = (painter.scores["objects"] for painter in report.painters)
    assert truth["colour"].value > grey["colour"].value
    assert report.differences["truth"]["colour"].value < 0
    assert truth["frechet"].value < grey["frechet"].value


def test_the_judge_is_worth_more_on_right_prompts_than_on_wrong_ones(judge, cases):
    painted = paint_and_judge(TruthPainter(), cases, judge)
    worth = judge_worth(judge, cases, painted.features, painted)
    right, wrong = worth["real held-out composites"], worth["real composites, wrong prompts"]
    assert right["object_top1"].value > wrong["object_top1"].value
    assert right["colour"].value > wrong["colour"].value
    assert worth["the same, softened"]["colour"].count == right["colour"].count


def test_outsiders_and_variety_stand_in_the_report_where_they_are_asked_for(
    data_folder, judge, tmp_path, monkeypatch
):
    monkeypatch.setattr("retouch.evaluate.exemplars.ProbeRecipe", lambda: ProbeRecipe(per_concept=20, size=32))
    quota = Quota(4, 0, 0, 0, whole_share=0, photograph=8)
    run = PocketRun(data_folder, quota, size=32, cache_dir=tmp_path / "cache", outsiders=data_folder, variety=2)
    report = run_pocket(run, [GreyPainter()], judge.extractor, out=tmp_path / "out")
    scores = report.painters[0].scores
    assert scores["held-out"]["outsider_top1"].count == 4
    assert scores["photograph"]["colour_slope"].value == pytest.approx(0, abs=1e-6)
    lookups = ["any sprite pasted", "sprite pasted in any colour", "sprite pasted"]
    assert list(report.variety) == ["grey fill", *lookups]
    assert report.variety["grey fill"]["pixel_deviation"].value == 0
    assert report.judge["drawings by a hand that neither judge knows"]["outsider_top1"].count > 0
    assert "different_pictures" in report.measures
    assert report.settings["outsiders"] is not None
