"""Intervals around measured means and shares, so that no number stands alone.

Means get a percentile bootstrap (Efron 1979); shares of successes get Wilson's score interval (1927), because
a bootstrap of nothing but failures says 0..0, however few the trials were.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

DEFAULT_LEVEL = 0.95
DEFAULT_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its confidence interval.

    Attributes:
        value: the estimate; NaN where nothing was measured.
        low: lower end of the interval.
        high: upper end.
        count: how many measurements it rests on.
    """

    value: float
    low: float
    high: float
    count: int

    def scaled(self, factor: float) -> "Estimate":
        """Return the same estimate in another unit (per cent, for instance)."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor, self.count)


NOTHING = Estimate(math.nan, math.nan, math.nan, 0)


def share(successes: Sequence[bool] | NDArray[np.bool_], *, level: float = DEFAULT_LEVEL) -> Estimate:
    """Estimate a probability from successes and failures, with Wilson's score interval."""
    count = len(successes)
    if count == 0:
        return NOTHING
    rate = float(np.mean(np.asarray(successes, dtype=np.float64)))
    z = NormalDist().inv_cdf((1 + level) / 2)
    spread = 1 + z * z / count
    centre = (rate + z * z / (2 * count)) / spread
    half = z / spread * math.sqrt(rate * (1 - rate) / count + z * z / (4 * count * count))
    # The end at a rate of 0 or 1 is that rate itself; floats would miss it by an ulp.
    return Estimate(rate, max(min(centre - half, rate), 0.0), min(max(centre + half, rate), 1.0), count)


def mean(
    values: Sequence[float] | NDArray[np.floating],
    *,
    seed: int = 0,
    level: float = DEFAULT_LEVEL,
    resamples: int = DEFAULT_RESAMPLES,
) -> Estimate:
    """Estimate a mean with a percentile bootstrap; NaN marks a case that has no such value and is left out."""
    known = np.asarray(values, dtype=np.float64)
    known = known[~np.isnan(known)]
    if known.size == 0:
        return NOTHING

    def of_rows(rows: NDArray[np.intp]) -> float:
        return float(known[rows].mean())

    return statistic(of_rows, known.size, seed=seed, level=level, resamples=resamples)


def paired_difference(
    first: Sequence[float] | NDArray[np.floating],
    second: Sequence[float] | NDArray[np.floating],
    *,
    seed: int = 0,
    level: float = DEFAULT_LEVEL,
) -> Estimate:
    """Estimate the mean of `first - second` over the same cases; the cases' own difficulty drops out.

    Raises:
        ValueError: the two are not of one length.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"{a.size} values cannot be paired with {b.size}")
    return mean(a - b, seed=seed, level=level)


def statistic(
    of_rows: Callable[[NDArray[np.intp]], float],
    count: int,
    *,
    seed: int = 0,
    level: float = DEFAULT_LEVEL,
    resamples: int = DEFAULT_RESAMPLES,
) -> Estimate:
    """Estimate any statistic of a sample by resampling its rows.

    Args:
        of_rows: takes row numbers (with repetitions) and returns the statistic of those rows.
        count: rows of the sample, at least one.
        seed: of the resampling; the same seed gives the same interval.
        level: confidence, 0..1.
        resamples: how many samples are drawn.
    """
    rng = np.random.default_rng(seed)
    drawn = [of_rows(rng.integers(0, count, count)) for _ in range(resamples)]
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(of_rows(np.arange(count)), float(low), float(high), count)
