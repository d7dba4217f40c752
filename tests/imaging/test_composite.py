"""Kept pixels are bit-identical, whatever the size, depth, mask, feather or fill; and that is measured."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retouch.errors import NonFinite
from retouch.imaging.composite import Composited, composite, measure_changes
from retouch.imaging.feather import feather_weights
from retouch.imaging.morphology import crop
from retouch.imaging.picture import Picture
from retouch.imaging.region import plan_region, reference_region


def _picture(rng: np.random.Generator, height: int, width: int, kind: str) -> Picture:
    """kind: depth, then L or RGB, then A where it has alpha: `16RGBA`."""
    dtype = np.uint16 if kind.startswith("16") else np.uint8
    peak = np.iinfo(dtype).max + 1
    shape = (height, width, 3) if "RGB" in kind else (height, width)
    alpha = rng.integers(0, peak, (height, width), dtype=dtype) if kind.endswith("A") else None
    return Picture(rng.integers(0, peak, shape, dtype=dtype), alpha, b"icc", b"exif")


KINDS = ["8L", "8LA", "8RGB", "8RGBA", "16L", "16LA", "16RGB", "16RGBA"]


CASES = given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from(KINDS),
    st.sampled_from(["auto", "whole", "masked"]),
    st.integers(0, 6),
    st.booleans(),
)


@settings(max_examples=300, deadline=None)
@CASES
def test_kept_pixels_are_bit_identical(seed, height, width, kind, mode, feather, alpha_is_mask) -> None:
    _check_kept_pixels(seed, height, width, kind, mode, feather, alpha_is_mask)


@pytest.mark.slow
@settings(max_examples=5000, deadline=None)
@CASES
def test_kept_pixels_are_bit_identical_in_thousands_of_cases(
    seed, height, width, kind, mode, feather, alpha_is_mask
) -> None:
    _check_kept_pixels(seed, height, width, kind, mode, feather, alpha_is_mask)


def _check_kept_pixels(seed, height, width, kind, mode, feather, alpha_is_mask) -> None:
    rng = np.random.default_rng(seed)
    picture = _picture(rng, height, width, kind)
    mask = rng.random((height, width)) < rng.choice([0.02, 0.3, 0.9])
    mask[rng.integers(height), rng.integers(width)] = True
    region = plan_region(mask, mode=mode, native_size=24, size_multiple=8, padding_px=None, bucket=8)
    fill = region.undo(rng.uniform(-0.2, 1.2, (*region.canvas, 3)).astype(np.float32))
    done = composite(picture, fill, region.box, feather_weights(mask, feather), alpha_is_mask=alpha_is_mask)
    after = done.picture
    assert done.kept_pixels_identical
    assert np.array_equal(after.pixels[~mask], picture.pixels[~mask])
    assert after.pixels.shape == picture.pixels.shape
    assert after.pixels.dtype == picture.pixels.dtype
    assert (after.icc, after.exif) == (b"icc", b"exif")
    if picture.alpha is not None:
        kept = ~mask if alpha_is_mask else slice(None)
        assert np.array_equal(after.alpha[kept], picture.alpha[kept])
    assert done.changes.repainted_pixels == mask.sum()
    assert done.changes.kept_pixels == mask.size - mask.sum()


def _whole(picture: Picture, fill: np.ndarray, mask: np.ndarray, feather: int = 0, **options: bool) -> Composited:
    region = reference_region(picture.height, picture.width, size_multiple=1)
    return composite(picture, fill.astype(np.float32), region.box, feather_weights(mask, feather), **options)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_level_of_the_depth_comes_out_exactly(dtype: type) -> None:
    peak = np.iinfo(dtype).max
    levels = np.arange(peak + 1)
    picture = Picture(np.zeros((1, peak + 1, 3), dtype))
    fill = np.repeat((levels / peak)[None, :, None], 3, axis=2)
    done = _whole(picture, fill, np.ones((1, peak + 1), bool))
    assert np.array_equal(done.picture.pixels[0, :, 1], levels)


def test_the_blend_rounds_to_the_nearest_level() -> None:
    mask = np.zeros((1, 40), bool)
    mask[0, 5:35] = True
    picture = Picture(np.full((1, 40, 3), 10, np.uint8))
    weights = feather_weights(mask, 9)[0]
    done = _whole(picture, np.full((1, 40, 3), 101 / 255), mask, 9)
    exact = 10 + weights.astype(np.float64) * (101 - 10)
    assert np.abs(done.picture.pixels[0, :, 0] - exact).max() <= 0.5 + 1e-4


def test_a_grey_picture_stays_grey() -> None:
    picture = Picture(np.full((4, 4), 9, np.uint8))
    fill = np.zeros((4, 4, 3))
    fill[..., 1] = 1
    done = _whole(picture, fill, np.eye(4, dtype=bool))
    assert done.picture.pixels.shape == (4, 4)
    assert done.picture.pixels[0, 0] == round(0.587 * 255)


def test_transparency_inside_the_mask_is_kept_and_told() -> None:
    alpha = np.array([[0, 100, 255]], np.uint8)
    picture = Picture(np.zeros((1, 3, 3), np.uint8), alpha)
    done = _whole(picture, np.ones((1, 3, 3)), np.ones((1, 3), bool))
    assert np.array_equal(done.picture.alpha, alpha)
    assert "1 repainted pixels are transparent" in done.warnings[0]


def test_where_transparency_was_the_mask_the_fill_becomes_opaque() -> None:
    alpha = np.array([[0, 100, 255]], np.uint8)
    picture = Picture(np.zeros((1, 3, 3), np.uint8), alpha)
    done = _whole(picture, np.ones((1, 3, 3)), alpha < 128, alpha_is_mask=True)
    assert np.array_equal(done.picture.alpha, [[255, 255, 255]])
    assert np.array_equal(done.picture.pixels[0, :, 0], [255, 255, 0])
    assert done.warnings == ()


def test_colours_that_nobody_saw_do_not_enter_the_feather() -> None:
    alpha = np.full((1, 20), 0, np.uint8)
    alpha[0, :4] = 255
    picture = Picture(np.full((1, 20, 3), 200, np.uint8), alpha)
    done = _whole(picture, np.zeros((1, 20, 3)), alpha == 0, feather=8, alpha_is_mask=True)
    assert (done.picture.pixels[0, 4:] == 0).all()
    assert (np.diff(done.picture.alpha[0, 4:].astype(int)) >= 0).all()


def test_values_out_of_range_are_clipped_and_non_finite_ones_are_an_error() -> None:
    picture = Picture(np.zeros((2, 2, 3), np.uint8))
    mask = np.ones((2, 2), bool)
    assert _whole(picture, np.full((2, 2, 3), 7.0), mask).picture.pixels.min() == 255
    for value in (np.nan, np.inf):
        with pytest.raises(NonFinite):
            _whole(picture, np.full((2, 2, 3), value), mask)


def test_the_measurement_finds_a_single_changed_sample() -> None:
    before = _picture(np.random.default_rng(0), 9, 9, "16RGBA")
    weights = np.zeros((9, 9), np.float32)
    weights[4, 4] = 1
    assert measure_changes(before, before, weights).kept_pixels_changed == 0
    for name in ("pixels", "alpha"):
        samples = getattr(before, name).copy()
        samples[0, 0] ^= 1
        samples[4, 4] ^= 1
        changes = measure_changes(before, replace(before, **{name: samples}), weights)
        assert changes.kept_pixels_changed == 1
    assert measure_changes(before, replace(before, alpha=None), weights).kept_pixels_changed == 80


def test_the_source_is_not_written_to() -> None:
    picture = _picture(np.random.default_rng(0), 8, 8, "8RGBA")
    pixels, alpha = picture.pixels.copy(), picture.alpha.copy()
    _whole(picture, np.ones((8, 8, 3)), np.ones((8, 8), bool), alpha_is_mask=True)
    assert np.array_equal(picture.pixels, pixels)
    assert np.array_equal(picture.alpha, alpha)


def test_the_fill_lands_in_its_box() -> None:
    mask = np.zeros((50, 50), bool)
    mask[30:33, 20:26] = True
    region = plan_region(mask, mode="masked", native_size=8, size_multiple=8, padding_px=2)
    fill = np.zeros((*region.box_size, 3), np.float32)
    fill[crop(mask, region.box)] = 1
    done = composite(Picture(np.zeros((50, 50, 3), np.uint8)), fill, region.box, feather_weights(mask, 0))
    assert np.array_equal(done.picture.pixels[..., 0] == 255, mask)
    assert done.changes.mean_change == 1
