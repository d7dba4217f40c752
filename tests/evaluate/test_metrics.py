import numpy as np
import pytest
from skimage.metrics import structural_similarity

from retouch.evaluate import metrics


def _picture(seed, side=48):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (side // 8, side // 8, 3))
    return np.clip(np.kron(coarse, np.ones((8, 8, 1))) + rng.normal(0, 12, (side, side, 3)), 0, 255).astype(
        np.uint8
    )


def _box_mask(side=48, low=14, high=34):
    mask = np.zeros((side, side), dtype=bool)
    mask[low:high, low:high] = True
    return mask


def test_ssim_is_that_of_scikit_image():
    a, b = metrics.luma(_picture(0)), metrics.luma(_picture(1))
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    _, expected = structural_similarity(a, b, full=True, **options)
    # Its border pixels come from another padding; the field's mean leaves them out, too.
    inside = np.s_[5:-5, 5:-5]
    np.testing.assert_allclose(metrics.ssim_map(a, b)[inside], expected[inside], atol=1e-9)


def test_ssim_of_a_picture_with_itself_is_one():
    picture = _picture(2)
    assert metrics.ssim(picture, picture, _box_mask()) == pytest.approx(1)


def test_psnr_counts_the_hole_only():
    truth, mask = _picture(3) // 2, _box_mask()
    picture = truth.copy()
    picture[~mask] = 255
    assert metrics.psnr(picture, truth, mask) == metrics.PSNR_CEILING_DB
    picture[mask] = truth[mask] + 5
    assert metrics.psnr(picture, truth, mask) == pytest.approx(10 * np.log10(255**2 / 25))


def test_psnr_of_an_empty_mask_is_unknown():
    assert np.isnan(metrics.psnr(_picture(0), _picture(1), np.zeros((48, 48), dtype=bool)))


@pytest.mark.parametrize("noise", [0, 6])
def test_seam_ratio_finds_a_step_at_the_border_and_nothing_on_continuous_ground(noise):
    rng = np.random.default_rng(4)
    ramp = np.linspace(40, 180, 48)[None, :, None] + rng.normal(0, noise, (48, 48, 3))
    clean = ramp.astype(np.uint8)
    mask = _box_mask()
    stepped = clean.copy()
    stepped[mask] += 25
    assert metrics.seam_ratio(clean, mask) == pytest.approx(1, abs=0.15)
    assert metrics.seam_ratio(stepped, mask) > 2


def test_seam_ratio_does_not_blame_texture_for_being_rough():
    rough = np.random.default_rng(5).integers(0, 256, (48, 48, 3)).astype(np.uint8)
    assert metrics.seam_ratio(rough, _box_mask()) == pytest.approx(1, abs=0.1)


def test_seam_ratio_of_a_mask_without_border_is_unknown():
    assert np.isnan(metrics.seam_ratio(_picture(0), np.ones((48, 48), dtype=bool)))


def test_one_changed_kept_pixel_is_counted():
    source, mask = _picture(6), _box_mask()
    changed = source.copy()
    changed[mask] = 0
    assert metrics.kept_identical_share(changed, source, mask) == 1.0
    changed[0, 0, 1] ^= 1
    assert metrics.kept_identical_share(changed, source, mask) == pytest.approx(1 - 1 / (~mask).sum())


def test_composite_takes_the_fill_inside_and_the_source_outside():
    source, fill, mask = _picture(7), _picture(8), _box_mask()
    joined = metrics.composite(fill, source, mask)
    assert (joined[mask] == fill[mask]).all()
    assert (joined[~mask] == source[~mask]).all()


def test_mask_box_bounds_the_marked_pixels():
    mask = np.zeros((9, 12), dtype=bool)
    mask[2:5, 3:10] = True
    assert metrics.mask_box(mask) == (3, 2, 10, 5)
    with pytest.raises(ValueError, match="no pixel"):
        metrics.mask_box(np.zeros((4, 4), dtype=bool))


def test_grow_widens_by_city_block_distance():
    mask = np.zeros((9, 9), dtype=bool)
    mask[4, 4] = True
    y, x = np.mgrid[:9, :9]
    assert (metrics.grow_city_block(mask, 3) == (abs(y - 4) + abs(x - 4) <= 3)).all()


def test_the_ring_lies_around_the_hole_and_touches_it():
    mask = _box_mask()
    around = metrics.ring(mask)
    assert not (around & mask).any()
    assert around.sum() == 4 * 3 * 20 + 4 * 3  # three pixels deep; corners in city-block distance
    assert not metrics.ring(np.ones((48, 48), dtype=bool)).any()


def test_cosine_distance_is_nothing_between_parallel_rows_and_one_between_orthogonal_ones():
    rows = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0]], dtype=np.float32)
    assert metrics.cosine_distance(rows, rows[[1, 1, 0]]) == pytest.approx([0, 0, 1])


def test_the_slope_is_that_of_least_squares():
    x = np.random.default_rng(0).normal(size=50)
    y = 0.7 * x + np.random.default_rng(1).normal(size=50)
    assert metrics.slope(x, y) == pytest.approx(np.polyfit(x, y, 1)[0])
    assert np.isnan(metrics.slope(np.ones(4), np.arange(4.0)))
