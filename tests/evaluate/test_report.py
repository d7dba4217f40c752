import json
import math

import pytest

from retouch.evaluate.bootstrap import NOTHING, Estimate
from retouch.evaluate.html import to_html
from retouch.evaluate.judge_check import Confusion
from retouch.evaluate.report import (
    VARIETY_TITLE,
    PainterReport,
    Report,
    environment,
    format_estimate,
    headline,
    shown_measures,
    to_json,
    to_markdown,
)

SCORES = {
    "object_top1": Estimate(0.42, 0.31, 0.55, 50),
    "frechet": Estimate(12.345, math.nan, math.nan, 50),
    "psnr_db": NOTHING,
}


@pytest.fixture
def report():
    painters = (
        PainterReport("retouch", 3.5, {"held-out": SCORES}, (Confusion("cat", "cat face", 4, is_related=True),)),
        PainterReport("grey <fill>", 0.0, {"held-out": SCORES}),
    )
    return Report(
        title="Pocket & co",
        protocol="pocket 1",
        settings={"seed": 7},
        measures=dict.fromkeys(SCORES, "what it means"),
        painters=painters,
        judge={"real": {"object_top1": Estimate(0.99, 0.97, 1.0, 200)}},
        variety={"retouch": {"three_or_more": Estimate(0.25, 0.1, 0.5, 16)}},
        differences={"grey <fill>": {"object_top1": Estimate(0.4, 0.3, 0.5, 50)}},
        groups={"held-out": "never seen"},
        notes=("mind the gap",),
        made_with=environment(),
        sheets=(("sheets/0.png", "a sheet"),),
    )


def test_json_is_strict_and_unknown_numbers_are_null(report):
    told = json.loads(to_json(report), parse_constant=pytest.fail)
    scores = told["painters"][0]["scores"]["held-out"]
    assert scores["object_top1"] == {"value": 0.42, "low": 0.31, "high": 0.55, "count": 50}
    assert scores["psnr_db"]["value"] is None
    assert told["painters"][0]["confusions"][0]["is_related"] is True


def test_markdown_shows_values_with_intervals_and_leaves_out_what_nobody_has(report):
    text = to_markdown(report)
    assert "| retouch | 42% [31, 55] | 12.3 |" in text
    assert "## held-out: never seen" in text
    assert "| cat | cat face | 4 | related name |" in text
    assert "![a sheet](sheets/0.png)" in text
    assert "mind the gap" in text
    assert shown_measures(report, "held-out") == ["object_top1", "frechet"]


@pytest.mark.parametrize(
    ("measure", "estimate", "text"),
    [
        ("colour", Estimate(1.0, 0.9, 1.0, 30), "100% [90, 100]"),
        ("seam_ratio", Estimate(1.234, 1.1, 1.5, 9), "1.23 [1.10, 1.50]"),
        ("ssim", Estimate(0.8761, 0.81, 0.92, 9), "0.876 [0.810, 0.920]"),
        ("ssim", NOTHING, "–"),
    ],
)
def test_estimates_are_written_for_people(measure, estimate, text):
    assert format_estimate(measure, estimate) == text


def test_variety_stands_in_every_form_of_a_report(report):
    assert "| retouch | 25% [10, 50] |" in to_markdown(report)
    assert VARIETY_TITLE in to_html(report)
    assert json.loads(to_json(report))["variety"]["retouch"]["three_or_more"]["count"] == 16


def test_a_terminal_is_shown_the_asked_groups_with_every_painter(report):
    told = headline(report, ("held-out", "photograph"))
    assert "## held-out" in told
    assert "photograph" not in told
    assert "| grey <fill> | 42% [31, 55] |" in told
    assert "What the judge itself is worth" in told
    assert VARIETY_TITLE in told
