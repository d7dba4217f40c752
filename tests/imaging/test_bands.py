"""Bands give what the whole gives."""

import numpy as np
import pytest

from retouch.imaging import bands
from retouch.imaging.bands import in_bands


@pytest.mark.parametrize("height", [1, 5, 6, 7, 20])
def test_every_row_is_computed_once(height: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "_BAND_SAMPLES", 3 * 4 * 2)
    rng = np.random.default_rng(height)
    colours, alpha = rng.integers(0, 256, (height, 4, 3)), rng.integers(0, 256, (height, 4))
    assert np.array_equal(in_bands(lambda c, a: c * a[..., None], colours, alpha), colours * alpha[..., None])
    assert np.array_equal(in_bands(lambda c: c.sum(axis=2), colours), colours.sum(axis=2))
