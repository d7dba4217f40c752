"""Whether the seed changes the picture: how many visibly different pictures of one thing a painter makes."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from retouch.data.captions import article
from retouch.evaluate import bootstrap
from retouch.evaluate.bootstrap import Estimate
from retouch.evaluate.cases import Case
from retouch.evaluate.judge import Judge
from retouch.evaluate.metrics import cosine_distance
from retouch.evaluate.painters import Painter
from retouch.evaluate.scoring import Painted, paint_and_judge

F64 = NDArray[np.float64]

SEEDS = 8
_SAME_QUANTILE = 0.95
MEASURES: dict[str, str] = {
    "different_pictures": f"of {SEEDS} seeds, pictures that the judge takes for the thing (among five) and that "
    "are farther apart than the same sprite pasted twice is in 95 % of the pairs",
    "three_or_more": "share of the things of which there are three such pictures or more",
    "pixel_deviation": "standard deviation over the seeds of a pixel in the hole, in levels of 0..255",
    "pair_distance": "1 - cosine of the judge's features, mean over pairs of seeds",
}


def variety(
    painters: Sequence[Painter], bar: Painter, cases: Sequence[Case], judge: Judge
) -> dict[str, dict[str, Estimate]]:
    """Paint every case with `SEEDS` seeds, and count the pictures that differ.

    Args:
        painters: whose variety is measured.
        bar: pastes the same sprite whatever the seed, a few per cent larger or smaller: what differs no more than
            its pictures do is the same picture.
        cases: one for each object.
        judge: whose features tell pictures apart.
    Returns:
        By painter, the bar last: `MEASURES`.
    """
    seeded = [replace(case, seed=seed) for case in cases for seed in range(SEEDS)]
    same = paint_and_judge(bar, seeded, judge)
    threshold = float(np.quantile(np.concatenate([_pairs(d) for d in _distances(same)]), _SAME_QUANTILE))
    done = [*(paint_and_judge(painter, seeded, judge) for painter in painters), same]
    return {painted.painter: _measured(painted, threshold) for painted in done}


def one_for_each_object(cases: Sequence[Case], count: int) -> list[Case]:
    """Return up to `count` cases of different objects that leave something of the picture.

    They are asked for by name alone: a colour that is said leaves the seed less to choose.
    """
    chosen: dict[str, Case] = {}
    for case in cases:
        if case.concept is not None and not case.is_whole:
            chosen.setdefault(case.concept, replace(case, prompt=_named(case.concept), colour=None))
    return list(chosen.values())[:count]


def _named(concept: str) -> str:
    """Return 'a hat', 'an umbrella', 'grapes'."""
    return f"{article(concept)} {concept}".strip()


def count_different(distances: F64, threshold: float) -> int:
    """Return how many pictures stand out, taken in order: each farther than the threshold from all before it.

    Args:
        distances: (N, N) between pictures.
        threshold: what is not farther is the same picture.
    """
    kept: list[int] = []
    for k in range(len(distances)):
        if all(distances[k, other] > threshold for other in kept):
            kept.append(k)
    return len(kept)


def _measured(painted: Painted, threshold: float) -> dict[str, Estimate]:
    counts, deviations = [], []
    distances = _distances(painted)
    for row, start in enumerate(range(0, len(painted.cases), SEEDS)):
        rows = range(start, start + SEEDS)
        right = [k - start for k in rows if painted.opinions[k].is_near]
        counts.append(float(count_different(distances[row][np.ix_(right, right)], threshold)))
        holes = np.stack([painted.pictures[k][painted.cases[k].mask] for k in rows]).astype(np.float64)
        deviations.append(float(holes.std(axis=0).mean()))
    return {
        "different_pictures": bootstrap.mean(counts),
        "three_or_more": bootstrap.share([count >= 3 for count in counts]),
        "pixel_deviation": bootstrap.mean(deviations),
        "pair_distance": bootstrap.mean([float(_pairs(d).mean()) for d in distances]),
    }


def _distances(painted: Painted) -> F64:
    """Return (cases, SEEDS, SEEDS) distances between the pictures of each case."""
    features = painted.features.reshape(-1, SEEDS, 1, painted.features.shape[1])
    return cosine_distance(features, features.transpose(0, 2, 1, 3))


def _pairs(distances: F64) -> F64:
    """Return the distances of a symmetric (N, N) that stand above its diagonal."""
    return np.asarray(distances[np.triu_indices(len(distances), 1)])
