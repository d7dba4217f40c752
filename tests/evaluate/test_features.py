import numpy as np
import pytest
import torch

from retouch.evaluate.features import LiteFeatures, _load_lite0, fold_batch_norms, square


def test_square_stretches_any_shape_and_keeps_the_range():
    picture = np.full((10, 30, 3), 200, dtype=np.uint8)
    image = square(picture, 16)
    assert image.shape == (1, 3, 16, 16)
    assert torch.allclose(image, torch.full_like(image, 200.0))


@pytest.mark.slow
def test_folding_batch_norms_changes_no_feature():
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    plain = _load_lite0()
    with torch.inference_mode():
        before = plain.extract_features(picture)
        after = fold_batch_norms(plain).extract_features(picture)
    assert torch.allclose(before, after, atol=1e-3)


@pytest.mark.slow
def test_features_do_not_depend_on_company_and_tell_pictures_apart():
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (40 + 8 * k, 40, 3), dtype=np.uint8) for k in range(5)]
    extractor = LiteFeatures(batch=4)
    together, alone = extractor.extract(pictures), extractor.extract(pictures[2:3])
    assert together.shape == (5, LiteFeatures.width)
    np.testing.assert_allclose(together[2:3], alone, atol=1e-3)
    assert np.linalg.norm(together[0] - together[1]) > 0.1
    assert extractor.extract([]).shape == (0, 1280)
