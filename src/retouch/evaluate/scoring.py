"""Scores of one painter over a set of cases."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from retouch.evaluate import bootstrap
from retouch.evaluate.bootstrap import Estimate
from retouch.evaluate.cases import Case
from retouch.evaluate.frechet import PairedKernels, frechet_distance
from retouch.evaluate.judge import Judge, Opinion
from retouch.evaluate.metrics import cosine_distance, kept_identical_share, psnr, ring, seam_ratio, slope, ssim
from retouch.evaluate.painters import Painter

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Scores = dict[str, Estimate]

_SURE = 0.5  # the judge, which has to name some thing, is hardly ever so sure of ground
_FEWEST_FOR_DISTANCES = 8  # below, a resample may hold one case alone, and no pair to compare

MEASURES: dict[str, str] = {
    "object_top1": "the judge names the asked object first",
    "object_top5": "the asked object is among the judge's five likeliest",
    "outsider_top1": "a judge that learnt from drawings by other hands names the asked object first",
    "outsider_top5": "the asked object is among that judge's five likeliest",
    "colour": "the fill has the asked colour",
    "object_and_colour": "both, where a colour was asked",
    "frechet": "Fréchet distance of the judge's features, fills to truths (less is better)",
    "kernel": "kernel distance of the same features, times 1000 (less is better)",
    "seam_ratio": "steepness across the mask's border over that beside it (1 is invisible)",
    "psnr_db": "PSNR in the hole, removals only",
    "ssim": "SSIM in the hole, removals only",
    "feature_distance": "1 - cosine of the judge's features of fill and truth, removals only (less is better)",
    "colour_slope": "slope of the hole's mean colour on its ring's, removals only (the truth has about 1)",
    "thing_seen": "the judge is surer of one thing than of all others together, removals only (less is better)",
    "kept_identical": "share of pictures whose kept pixels are all bit for bit the input's",
}


@dataclass(frozen=True, slots=True, eq=False)
class Painted:
    """What one painter made of the cases, and what the judge thinks of it.

    `features`, `colours` and each array of `pixels` (by name of the measure) have a row for each case; `colours`
    (N, 2, 3) are the mean colours of hole and ring, NaN where there is no ring; `seconds` is the painter's own
    time for all cases.
    """

    painter: str
    cases: Sequence[Case]
    pictures: Sequence[U8]
    opinions: Sequence[Opinion]
    features: F32
    seconds: float = 0.0
    pixels: Mapping[str, F64] = field(default_factory=dict)
    colours: F64 = field(default_factory=lambda: np.zeros((0, 2, 3)))


def paint_and_judge(painter: Painter, cases: Sequence[Case], judge: Judge) -> Painted:
    """Let a painter fill every hole, then let the judge look."""
    started = time.perf_counter()
    pictures = painter.paint(cases)
    seconds = time.perf_counter() - started
    features = judge.features(pictures, cases)
    opinions = judge.opinions(features, pictures, cases)
    pixels = _pixel_measures(pictures, cases)
    colours = np.array([_mean_colours(*pair) for pair in zip(pictures, cases, strict=True)]).reshape(-1, 2, 3)
    return Painted(painter.name, cases, pictures, opinions, features, seconds, pixels, colours)


def score(painted: Painted, truth_features: F32, rows: Sequence[int], *, seed: int = 0) -> Scores:
    """Return every measure over some of the cases, each with its interval.

    Args:
        painted: one painter's work.
        truth_features: (N, D) of the truths' holes, a row for each case.
        rows: positions of the cases to count.
        seed: of the bootstrap.
    """
    cases = [painted.cases[k] for k in rows]
    opinions = [painted.opinions[k] for k in rows]
    asked = [opinion for opinion, case in zip(opinions, cases, strict=True) if case.concept is not None]
    coloured = [opinion for opinion in asked if opinion.is_asked_colour is not None]
    scores = outsider_shares(asked) | {
        "object_top1": bootstrap.share([opinion.is_asked_object for opinion in asked]),
        "object_top5": bootstrap.share([opinion.is_near for opinion in asked]),
        "colour": bootstrap.share([bool(opinion.is_asked_colour) for opinion in coloured]),
        "object_and_colour": bootstrap.share([o.is_asked_object and bool(o.is_asked_colour) for o in coloured]),
    }
    with_object = [k for k in rows if painted.cases[k].concept is not None]
    scores |= _distances(painted.features[with_object], truth_features[with_object], seed)
    removals = [k for k in rows if painted.cases[k].concept is None]
    distances = cosine_distance(painted.features[removals], truth_features[removals])
    scores["feature_distance"] = bootstrap.mean(distances, seed=seed)
    scores["colour_slope"] = _colour_slope(painted.colours[removals], seed)
    scores["thing_seen"] = bootstrap.share([painted.opinions[k].probability > _SURE for k in removals])
    return scores | _pixel_scores(painted.pixels, rows, seed)


def outsider_shares(opinions: Sequence[Opinion]) -> Scores:
    """Return how often the outsider sees the asked object, of those that it knows."""
    ranks = [opinion.outsider_rank for opinion in opinions if opinion.outsider_rank is not None]
    return {
        "outsider_top1": bootstrap.share([rank == 1 for rank in ranks]),
        "outsider_top5": bootstrap.share([rank <= 5 for rank in ranks]),
    }


def _colour_slope(colours: F64, seed: int) -> Estimate:
    """Estimate the slope over cases and channels together, of colours (N, 2, 3) of hole and ring."""
    known = colours[~np.isnan(colours).any(axis=(1, 2))]
    if len(known) < _FEWEST_FOR_DISTANCES:
        return bootstrap.NOTHING

    def of_rows(rows: NDArray[np.intp]) -> float:
        return slope(known[rows, 1].ravel(), known[rows, 0].ravel())

    return bootstrap.statistic(of_rows, len(known), seed=seed, resamples=300)


def _distances(fills: F32, truths: F32, seed: int) -> Scores:
    if len(fills) < _FEWEST_FOR_DISTANCES:
        return {"frechet": bootstrap.NOTHING, "kernel": bootstrap.NOTHING}
    # The Fréchet distance is biased upwards in small sets and more so in resampled ones, which repeat rows:
    # an interval by resampling would not even hold the value. The unbiased kernel distance has one.
    value = frechet_distance(fills, truths)
    kernel = bootstrap.statistic(PairedKernels.of(fills, truths).distance, len(fills), seed=seed, resamples=300)
    return {"frechet": Estimate(value, math.nan, math.nan, len(fills)), "kernel": kernel.scaled(1000)}


def _pixel_scores(pixels: Mapping[str, F64], rows: Sequence[int], seed: int) -> Scores:
    chosen = {name: values[list(rows)] for name, values in pixels.items()}
    kept = chosen.pop("kept_identical")
    means = {name: bootstrap.mean(values, seed=seed) for name, values in chosen.items()}
    return means | {"kept_identical": bootstrap.share(kept[~np.isnan(kept)] == 1.0)}


def _pixel_measures(pictures: Sequence[U8], cases: Sequence[Case]) -> dict[str, F64]:
    """Measure every picture once: a value for each case, NaN where the measure does not apply."""
    rows = [_measure(picture, case) for picture, case in zip(pictures, cases, strict=True)]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]} if rows else {}


def _mean_colours(picture: U8, case: Case) -> F64:
    """Return (2, 3): the mean colour of the hole and of the ring around it."""
    around = ring(case.mask)
    if not around.any():
        return np.full((2, 3), math.nan)
    return np.stack([picture[case.mask].mean(axis=0), picture[around].mean(axis=0)])


def _measure(picture: U8, case: Case) -> dict[str, float]:
    is_known = case.concept is None  # an object has many right answers, a place to continue has one
    return {
        "seam_ratio": seam_ratio(picture, case.mask),
        "psnr_db": psnr(picture, case.truth, case.mask) if is_known else math.nan,
        "ssim": ssim(picture, case.truth, case.mask) if is_known else math.nan,
        "kept_identical": kept_identical_share(picture, case.truth, case.mask),
    }
