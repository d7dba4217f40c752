import numpy as np
import pytest

from retouch.evaluate import bootstrap


def test_share_of_no_success_keeps_an_honest_upper_end():
    estimate = bootstrap.share([False] * 20)
    assert (estimate.value, estimate.low) == (0.0, 0.0)
    assert estimate.high == pytest.approx(0.161, abs=0.002)  # Wilson's interval for 0 of 20


def test_share_of_nothing_is_unknown():
    assert bootstrap.share([]).count == 0
    assert np.isnan(bootstrap.share([]).value)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_share_covers_the_true_rate_about_as_often_as_it_says(rate):
    rng = np.random.default_rng(3)
    estimates = [bootstrap.share(rng.random(60) < rate) for _ in range(400)]
    covered = np.mean([e.low <= rate <= e.high for e in estimates])
    assert 0.91 <= covered <= 0.985


def test_bootstrap_mean_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    estimates = [bootstrap.mean(rng.exponential(2.0, 60), resamples=300, seed=k) for k in range(200)]
    covered = np.mean([e.low <= 2.0 <= e.high for e in estimates])
    assert 0.86 <= covered <= 0.98


def test_bootstrap_is_seeded_and_leaves_unknown_values_out():
    values = [1.0, float("nan"), 3.0, 5.0]
    first, second = bootstrap.mean(values, seed=7), bootstrap.mean(values, seed=7)
    assert first == second
    assert (first.value, first.count) == (3.0, 3)


def test_paired_difference_is_narrower_than_the_values_it_compares():
    rng = np.random.default_rng(0)
    difficulty = rng.normal(0, 10, 80)
    better = difficulty + 1 + rng.normal(0, 0.3, 80)
    difference = bootstrap.paired_difference(better, difficulty)
    assert 0 < difference.low < 1 < difference.high < 2


def test_paired_difference_refuses_unequal_lengths():
    with pytest.raises(ValueError, match="paired"):
        bootstrap.paired_difference([1.0], [1.0, 2.0])
