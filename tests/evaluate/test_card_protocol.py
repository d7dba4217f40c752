import json

import numpy as np
import pytest
from PIL import Image

from retouch.evaluate.baselines import DiffusionFreePainter, GreyPainter, TruthPainter
from retouch.evaluate.card_protocol import CardNetworks, CardRun, run_card
from retouch.evaluate.crops import card_cases, pictures_in
from retouch.evaluate.frechet import frechet_distance


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for k in range(6):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 7, 3), dtype=np.uint8))
        coarse.resize((56, 48), Image.Resampling.BICUBIC).save(folder / f"{k}.png")
    return folder


class MeanGap:
    """A real, if crude, perceptual distance."""

    def distance(self, first, second):
        return float(np.abs(first.mean((0, 1)) - second.mean((0, 1))).mean() / 255)


def _scores(report, painter, group):
    return report.painters[painter].scores[group]


def test_better_painters_score_better_on_every_measure(photographs, tmp_path, thumbnails):
    run = CardRun(photographs, side=32, kinds=("medium",), chunk=4)
    networks = CardNetworks(inception=thumbnails, lpips=MeanGap())
    report = run_card(run, [DiffusionFreePainter("telea"), GreyPainter(), TruthPainter()], networks, out=tmp_path)
    telea, grey, truth = (_scores(report, k, "medium") for k in range(3))
    assert truth["fid"].value == pytest.approx(0, abs=1e-3)
    assert truth["lpips"].value == 0
    for name in ("fid", "lpips", "seam_ratio"):
        assert telea[name].value < grey[name].value
    for name in ("ssim", "psnr_db"):
        assert grey[name].value < telea[name].value < truth[name].value
    assert telea["kept_identical"].value == 1


def test_fid_is_the_distance_of_all_fills_to_all_originals(photographs, tmp_path, thumbnails):
    run = CardRun(photographs, side=32, kinds=("thick",), chunk=4)
    report = run_card(run, [GreyPainter()], CardNetworks(inception=thumbnails), out=tmp_path)
    cases = list(card_cases(pictures_in(photographs), "thick", side=32))
    features = [
        thumbnails.extract(pictures) for pictures in ([c.visible for c in cases], [c.truth for c in cases])
    ]
    assert _scores(report, 0, "thick")["fid"].value == pytest.approx(frechet_distance(*features))


def test_fid_stands_in_the_hardest_bin_too(photographs, tmp_path, thumbnails):
    run = CardRun(photographs, side=32, kinds=("thick",), seed=3)
    report = run_card(run, [GreyPainter()], CardNetworks(inception=thumbnails), out=tmp_path)
    cases = list(card_cases(pictures_in(photographs), "thick", side=32, seed=3))
    hard = [case for case in cases if case.mask.mean() > 0.4]
    assert 2 <= len(hard) < len(cases)
    features = [thumbnails.extract([c.visible for c in hard]), thumbnails.extract([c.truth for c in hard])]
    fid = _scores(report, 0, "thick, 40% to 50% repainted")["fid"]
    assert (fid.value, fid.count) == (pytest.approx(frechet_distance(*features)), len(hard))


def test_area_bins_share_out_the_pictures(photographs, tmp_path):
    report = run_card(CardRun(photographs, side=32), [GreyPainter()], CardNetworks(), out=tmp_path)
    scores = report.painters[0].scores
    for kind in ("thin", "medium", "thick"):
        bins = [values["ssim"].count for group, values in scores.items() if group.startswith(f"{kind}, ")]
        assert sum(bins) == scores[kind]["ssim"].count == 6


def test_measures_without_a_network_are_null_in_the_report(photographs, tmp_path):
    run_card(CardRun(photographs, limit=2, side=32), [GreyPainter()], CardNetworks(), out=tmp_path)
    told = json.loads((tmp_path / "report.json").read_text())
    scores = told["painters"][0]["scores"]["thin"]
    assert (scores["fid"]["value"], scores["lpips"]["value"]) == (None, None)
    assert told["settings"]["pictures"] == 2
    assert (tmp_path / told["sheets"][0][0]).is_file()
