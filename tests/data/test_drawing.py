"""How scenes are drawn."""

import numpy as np
import pytest

from retouch.data.drawing import _turn_hue, repaint_ground


@pytest.mark.parametrize("seed", range(8))
def test_a_repainted_place_stays_a_picture_and_is_another_one(seed: int) -> None:
    ground = np.random.default_rng(seed).uniform(0, 255, (16, 16, 3)).astype(np.float32)
    changed = repaint_ground(np.random.default_rng(seed), ground)
    assert changed.shape == ground.shape
    assert changed.dtype == np.float32
    assert changed.min() >= 0
    assert changed.max() <= 255
    assert np.abs(changed - ground).mean() > 3
    assert np.array_equal(changed, repaint_ground(np.random.default_rng(seed), ground))


@pytest.mark.parametrize("angle", [0.0, 0.7, 2.0, 5.5])
def test_turning_the_hue_keeps_grey_and_lightness(angle: float) -> None:
    matrix = _turn_hue(angle)
    np.testing.assert_allclose(matrix @ np.ones(3), np.ones(3), atol=1e-6)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-6)
    if angle == 0.0:
        np.testing.assert_allclose(matrix, np.eye(3), atol=1e-6)
