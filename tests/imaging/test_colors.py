"""A shift of colours is seen in the kept pixels and undone in the fill."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retouch.imaging.colors import match_colors


def _scene(seed: int = 0, size: int = 64) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    waves = [np.sin(rng.uniform(2, 9) * x + rng.uniform(2, 9) * y) for _ in range(3)]
    original = (0.5 + 0.2 * np.stack(waves, axis=-1)).astype(np.float32)
    mask = np.zeros((size, size), bool)
    mask[20:44, 20:44] = True
    return original, mask


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 999), st.floats(0.7, 1.3), st.floats(-0.08, 0.08))
def test_a_synthetic_shift_is_recovered(seed: int, gain: float, offset: float) -> None:
    original, mask = _scene(seed)
    wanted = original.copy()
    wanted[mask] = 1 - wanted[mask]
    shifted = (wanted * gain + offset).astype(np.float32)
    assert np.abs(match_colors(shifted, original, mask) - wanted).max() < 1e-3


def test_a_shift_is_recovered_through_noise() -> None:
    original, mask = _scene()
    noise = np.random.default_rng(1).normal(0, 0.02, original.shape).astype(np.float32)
    matched = match_colors(original * 0.9 + 0.08 + noise, original, mask)
    assert np.abs((matched - original)[mask].mean(axis=0)).max() < 0.01


def test_nothing_under_the_mask_is_looked_at() -> None:
    original, mask = _scene()
    fill = original * 0.8
    hidden = original.copy()
    hidden[mask] = np.random.default_rng(0).random((mask.sum(), 3))
    assert np.array_equal(match_colors(fill, original, mask), match_colors(fill, hidden, mask))


def test_nothing_unknown_is_looked_at() -> None:
    original, mask = _scene()
    fill = original * 0.8
    known = np.ones_like(mask)
    known[:, : mask.shape[1] // 2] = False
    other = original.copy()
    other[~known] = 0
    matched = match_colors(fill, original, mask, known=known)
    assert np.array_equal(matched, match_colors(fill, other, mask, known=known))
    assert not np.array_equal(matched, match_colors(fill, other, mask))


def test_what_does_not_vary_together_moves_the_mean_only() -> None:
    original, mask = _scene()
    fill = np.random.default_rng(0).uniform(0.4, 0.5, original.shape).astype(np.float32)
    matched = match_colors(fill, original, mask)
    steps = matched - fill
    assert np.allclose(steps, steps[0, 0], atol=1e-5)


@pytest.mark.parametrize("kept", [0, 4])
def test_too_few_kept_pixels_change_nothing(kept: int) -> None:
    original, _ = _scene()
    mask = np.ones(original.shape[:2], bool)
    mask[0, :kept] = False
    fill = original * 0.5
    assert match_colors(fill, original, mask) is fill


def test_flat_colours_are_moved_without_being_stretched() -> None:
    mask = np.zeros((32, 32), bool)
    mask[8:24, 8:24] = True
    matched = match_colors(np.full((32, 32, 3), 0.4, np.float32), np.full((32, 32, 3), 0.45, np.float32), mask)
    assert np.allclose(matched, 0.45, atol=1e-6)
