import numpy as np
import pytest

from retouch.evaluate.frechet import Moments, PairedKernels, frechet_between, frechet_distance


def _by_eigenvalues_of_the_product(x, y):
    """FID as first published: the root's trace from the eigenvalues of C1 C2 itself."""
    c1, c2 = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(c1 @ c2).astype(complex)).real.sum()
    return ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(c1) + np.trace(c2) - 2 * roots


@pytest.mark.parametrize(("n", "m", "width"), [(60, 80, 6), (9, 14, 24)])
def test_both_routes_agree_with_the_plain_formula(n, m, width):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(n, width))
    y = rng.normal(0.4, 1.7, size=(m, width))
    expected = _by_eigenvalues_of_the_product(x, y)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-5)
    assert frechet_between(Moments.of(x), Moments.of(y)) == pytest.approx(expected, rel=1e-5)


def test_distance_of_one_dimension_is_the_closed_form():
    rng = np.random.default_rng(2)
    x, y = rng.normal(0, 1, (500, 1)), rng.normal(3, 2, (400, 1))
    closed = (x.mean() - y.mean()) ** 2 + (x.std(ddof=1) - y.std(ddof=1)) ** 2
    assert frechet_distance(x, y) == pytest.approx(closed, rel=1e-9)


def test_a_set_is_at_no_distance_from_itself():
    x = np.random.default_rng(0).normal(size=(20, 50)).astype(np.float32)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-8)


def _kernel_distance(x, y, rows=None):
    return PairedKernels.of(x, y).distance(np.arange(len(x)) if rows is None else np.array(rows))


def test_kernel_distance_is_unbiased_around_zero_and_grows_with_the_shift():
    rng = np.random.default_rng(4)
    same = [_kernel_distance(rng.normal(size=(30, 8)), rng.normal(size=(30, 8))) for _ in range(100)]
    assert abs(np.mean(same)) < 3 * np.std(same) / 10
    assert min(same) < 0
    assert _kernel_distance(rng.normal(size=(30, 8)), rng.normal(1, 1, size=(30, 8))) > max(same)


def test_kernel_distance_sums_over_pairs_of_different_cases():
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    rows = [0, 1, 1, 4]
    # Positions differ, and so do the cases they hold.
    pairs = [(i, j) for i in rows for j in rows if i != j]
    xx, yy, xy = (np.mean([(a[i] @ b[j] / 3 + 1) ** 3 for i, j in pairs]) for a, b in ((x, x), (y, y), (x, y)))
    assert _kernel_distance(x, y, rows) == pytest.approx(xx + yy - 2 * xy)


def test_equal_sets_have_no_kernel_distance_in_any_resample():
    x = np.random.default_rng(7).normal(size=(12, 4))
    assert _kernel_distance(x, x, [0, 0, 3, 5, 5, 5]) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("bad", [np.zeros((1, 4)), np.zeros(4), np.full((3, 4), np.nan)])
def test_unusable_features_are_refused(bad):
    with pytest.raises(ValueError):
        frechet_distance(bad, np.zeros((3, 4)))


def test_features_of_different_width_are_refused():
    with pytest.raises(ValueError, match="width"):
        frechet_distance(np.zeros((3, 4)), np.zeros((3, 5)))
