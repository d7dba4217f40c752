"""Distances between two sets of pictures, by their features.

`frechet_distance` is FID's formula (Heusel et al. 2017, eq. 6) on whatever features it is given;
`PairedKernels` gives KID's (Bińkowski et al. 2018, eq. 3 and 4), which is unbiased for small sets.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Features = NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Mean (D,) and covariance (D, D) of a set of features, in double precision."""

    mean: F64
    covariance: F64
    count: int

    @classmethod
    def of(cls, features: Features) -> Self:
        """Measure features (N, D), N at least 2.

        Raises:
            ValueError: fewer than two rows, or numbers that are not finite.
        """
        rows = _checked(features)
        centred = rows - rows.mean(axis=0)
        return cls(rows.mean(axis=0), centred.T @ centred / (len(rows) - 1), len(rows))


def frechet_between(first: Moments, second: Moments) -> float:
    """Return |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).

    The trace of the root is summed over the eigenvalues of the symmetric C1^(1/2) C2 C1^(1/2), which has the
    same ones as C1 C2: no complex roots, and no offset is needed for covariances of low rank.
    """
    values, vectors = np.linalg.eigh(first.covariance)
    root = (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
    shared = np.linalg.eigvalsh(root @ second.covariance @ root)
    trace_root = float(np.sqrt(np.clip(shared, 0.0, None)).sum())
    return _assemble(first.mean, second.mean, np.trace(first.covariance), np.trace(second.covariance), trace_root)


def frechet_distance(first: Features, second: Features) -> float:
    """Return the Fréchet distance of two feature sets (N, D) and (M, D), in float64.

    With X and Y the centred sets, tr((C1 C2)^(1/2)) is the sum of the singular values of X Y^T over
    sqrt((N - 1)(M - 1)): the same number as by covariances, and quick while N and M are below D.

    Raises:
        ValueError: fewer than two rows, features of different width, or numbers that are not finite.
    """
    x, y = _checked(first), _checked(second)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"features of width {x.shape[1]} cannot be compared with width {y.shape[1]}")
    if min(len(x), len(y)) > x.shape[1]:
        return frechet_between(Moments.of(x), Moments.of(y))
    a = (x - x.mean(axis=0)) / np.sqrt(len(x) - 1)
    b = (y - y.mean(axis=0)) / np.sqrt(len(y) - 1)
    trace_root = float(np.linalg.svd(a @ b.T, compute_uv=False).sum())
    return _assemble(x.mean(axis=0), y.mean(axis=0), np.sum(a * a), np.sum(b * b), trace_root)


@dataclass(frozen=True, slots=True, eq=False)
class PairedKernels:
    """Kernel values (x.y / D + 1)^3 within and between two sets, for the kernel distance of any resample.

    The sets are paired: row k of both comes from the same case. A row is never compared with itself or with its
    partner, so that the distance stays unbiased, also where resampling repeats rows.
    """

    fills: F64
    truths: F64
    between: F64

    @classmethod
    def of(cls, fills: Features, truths: Features) -> Self:
        """Compare features (N, D) with features (N, D).

        Raises:
            ValueError: fewer than two rows, sets of different shape, or numbers that are not finite.
        """
        x, y = _checked(fills), _checked(truths)
        if x.shape != y.shape:
            raise ValueError(f"sets of shapes {x.shape} and {y.shape} are not paired")
        width = x.shape[1]
        return cls(*((a @ b.T / width + 1) ** 3 for a, b in ((x, x), (y, y), (x, y))))

    def distance(self, rows: NDArray[np.intp]) -> float:
        """Return the squared maximum mean discrepancy of some rows, repetitions allowed; it may be below 0."""
        weights = np.bincount(rows, minlength=len(self.between)).astype(np.float64)
        pairs = weights.sum() ** 2 - (weights**2).sum()
        if pairs == 0:
            return float("nan")
        kernel = self.fills + self.truths - 2 * self.between
        return float((weights @ kernel @ weights - (weights**2) @ np.diag(kernel)) / pairs)


def _assemble(mean_a: F64, mean_b: F64, trace_a: float, trace_b: float, trace_root: float) -> float:
    distance = float(np.sum((mean_a - mean_b) ** 2)) + float(trace_a) + float(trace_b) - 2 * trace_root
    return max(distance, 0.0)


def _checked(features: Features) -> F64:
    rows = np.asarray(features, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < 2:
        raise ValueError(f"features must be (N, D) with N at least 2, not {rows.shape}")
    if not np.isfinite(rows).all():
        raise ValueError("the features hold numbers that are not finite")
    return rows
