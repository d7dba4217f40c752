"""Regions: what the model sees, within its sizes, and the way back."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retouch.errors import MaskEmpty
from retouch.imaging.mask import cover_mask
from retouch.imaging.morphology import bounding_box, crop
from retouch.imaging.region import UNSCALED_AREA, Region, plan_region, reference_region, unscaled_region

SIDES = st.one_of(st.integers(1, 40), st.integers(1, 400))


def _mask(height: int, width: int, box: tuple[float, float, float, float]) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    top, left, tall, wide = box
    y, x = int(top * height), int(left * width)
    mask[y : y + max(1, int(tall * height)), x : x + max(1, int(wide * width))] = True
    return mask


BOXES = st.tuples(*[st.floats(0, 0.99)] * 2, *[st.floats(0.001, 1)] * 2)


def _plan(mask: np.ndarray, mode: str = "auto", **options: object) -> Region:
    settings_of_test = {"native_size": 64, "size_multiple": 8, "bucket": 16, "padding_px": None, **options}
    return plan_region(mask, mode=mode, **settings_of_test)


def _applied(region: Region, pixels: np.ndarray) -> np.ndarray:
    return region.scale(crop(pixels, region.box))


def _is_scaled(region: Region) -> bool:
    return region.scaled != region.box_size


@settings(max_examples=1000, deadline=None)
@given(
    SIDES,
    SIDES,
    BOXES,
    st.sampled_from(["auto", "whole", "masked"]),
    st.sampled_from([None, 0, 5, 999]),
    st.sampled_from([None, 0.0, 0.2]),
)
def test_every_region_keeps_its_promises(height, width, box, mode, padding, context) -> None:
    mask = _mask(height, width, box)
    region = _plan(mask, mode, padding_px=padding, context=context)
    left, top, right, bottom = region.box
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert mask.sum() == mask[top:bottom, left:right].sum()
    assert all(side % 16 == 0 and side > 0 for side in region.canvas)
    spans = zip(region.offset, region.scaled, region.canvas, strict=True)
    assert all(before >= 0 and inner >= 1 and before + inner <= outer for before, inner, outer in spans)
    assert region.canvas[0] * region.canvas[1] <= 2 * 4 * 64**2

    pixels = np.random.default_rng(height).random((height, width, 3), dtype=np.float32)
    canvas = _applied(region, pixels)
    assert canvas.shape == (*region.canvas, 3)
    undone = region.undo(canvas)
    assert undone.shape == (bottom - top, right - left, 3)
    if not _is_scaled(region):
        assert np.array_equal(undone, pixels[top:bottom, left:right])
    assert cover_mask(region.apply_mask(mask), 8).any()


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 600), st.integers(1, 600), st.data())
def test_a_stroke_of_one_pixel_survives_every_region(height: int, width: int, data: st.DataObject) -> None:
    mask = np.zeros((height, width), bool)
    mask[data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))] = True
    for mode in ("whole", "masked"):
        assert cover_mask(_plan(mask, mode).apply_mask(mask), 8).any()


@pytest.mark.parametrize(
    "size",
    [(16, 16), (1, 3000), (3000, 1), (333, 777), (1, 1), pytest.param((6000, 8000), marks=pytest.mark.slow)],
)
def test_scaling_there_and_back_keeps_a_smooth_picture(size: tuple[int, int]) -> None:
    height, width = size
    y = np.linspace(0.2, 0.8, height, dtype=np.float32)[:, None, None]
    x = np.linspace(0.3, 0.6, width, dtype=np.float32)[None, :, None]
    pixels = np.broadcast_to((y + x) / 2, (height, width, 3))
    mask = _mask(height, width, (0.4, 0.4, 0.2, 0.2))
    for mode in ("whole", "masked"):
        region = _plan(mask, mode, native_size=256)
        left, top, right, bottom = region.box
        undone = region.undo(_applied(region, pixels))
        assert np.abs(undone - pixels[top:bottom, left:right]).max() < 0.02


def test_a_picture_within_the_limits_is_seen_at_its_own_size() -> None:
    region = _plan(_mask(120, 100, (0, 0, 1, 1)), "whole")
    assert (region.scaled, region.canvas) == ((120, 100), (128, 112))


def test_a_picture_over_the_limits_is_scaled_down_to_them() -> None:
    region = _plan(_mask(600, 800, (0, 0, 1, 1)), "whole")
    assert _is_scaled(region)
    assert 0.7 * 4 * 64**2 <= region.canvas[0] * region.canvas[1] <= 1.25 * 4 * 64**2


@pytest.mark.parametrize(
    ("size", "box", "mode"),
    [
        ((600, 800), (0.1, 0.1, 0.8, 0.8), "masked"),
        ((100, 100), (0.45, 0.45, 0.02, 0.02), "whole"),
        ((128, 128), (0.4, 0.4, 0.01, 0.01), "whole"),
        ((100, 100), (0.1, 0.1, 0.8, 0.8), "whole"),
        ((30, 30), (0.1, 0.1, 0.8, 0.8), "masked"),
    ],
)
def test_auto_crops_large_pictures_and_enlarges_tiny_ones(size: tuple, box: tuple, mode: str) -> None:
    assert _plan(_mask(*size, box)).mode == mode


def test_auto_crops_around_a_small_mask() -> None:
    assert _plan(_mask(400, 400, (0.5, 0.5, 0.01, 0.01)), native_size=256).mode == "masked"
    assert _plan(_mask(400, 400, (0.1, 0.1, 0.7, 0.7)), native_size=256).mode == "whole"


def test_a_model_that_learnt_holes_in_the_middle_gets_them_so() -> None:
    mask = _mask(400, 400, (0.3, 0.3, 0.4, 0.4))
    region = _plan(mask, native_size=256, context=0.2)
    assert region.mode == "masked"
    assert region.box == (88, 88, 312, 312)  # 160 px of hole with 32 on each side
    assert _plan(mask, native_size=256, context=0.2, padding_px=40).box == (80, 80, 320, 320)
    assert _plan(mask, "whole", native_size=256, context=0.2).mode == "whole"


def test_the_middle_is_the_middle_beyond_the_border_too() -> None:
    mask = np.zeros((90, 120), bool)
    mask[:50, 100:] = True
    region = _plan(mask, context=0.14)  # a hole of 50 px in a square of 64
    assert (region.canvas, region.offset, region.box) == ((64, 64), (7, 0), (78, 0, 120, 57))
    canvas_mask = region.apply_mask(mask)
    assert canvas_mask[7:57, 22:42].all()
    assert not canvas_mask[57:].any()
    assert not canvas_mask[:, :22].any()
    assert canvas_mask[:7, 22:42].all()  # the padding mirrors the hole: nothing is shown there that it hides

    pixels = np.random.default_rng(0).random((90, 120, 3), dtype=np.float32)
    canvas = _applied(region, pixels)
    assert np.array_equal(canvas[6], canvas[8])
    assert np.array_equal(canvas[:, 42], canvas[:, 40])
    assert np.array_equal(region.undo(canvas), pixels[:57, 78:])
    assert np.array_equal(region.undo(canvas, (100, 0, 120, 50)), pixels[:50, 100:])


@pytest.mark.parametrize(("hole", "seen"), [(20, 28), (10, 14), (2, 4)])
def test_a_small_hole_is_as_large_to_the_model_as_any_up_to_sixteenfold(hole: int, seen: int) -> None:
    mask = np.zeros((200, 200), bool)
    mask[100 : 100 + hole, 100 : 100 + hole] = True
    left, top, right, bottom = _plan(mask, context=0.2).box
    assert (right - left, bottom - top) == (seen, seen)


def test_more_padding_than_the_picture_has_shrinks_it_no_further() -> None:
    mask = _mask(200, 200, (0.4, 0.4, 0.2, 0.2))
    assert _plan(mask, context=0.2, padding_px=80).scaled == (64, 64)
    assert _plan(mask, context=0.2, padding_px=5000).scaled == (64, 64)


def test_a_picture_that_is_all_hole_is_taken_whole() -> None:
    region = _plan(np.ones((50, 50), bool), context=0.2)
    assert (region.box, region.offset) == ((0, 0, 50, 50), (0, 0))
    assert region.scaled == region.canvas == (64, 64)


def test_a_crop_has_context_and_grows_towards_a_square() -> None:
    mask = np.zeros((400, 400), bool)
    mask[200:210, 100:300] = True
    region = _plan(mask, "masked", native_size=256)
    left, top, right, bottom = region.box
    assert left <= 100 - 32
    assert right >= 300 + 32
    assert right - left == bottom - top
    assert region.canvas == (256, 256)


@settings(max_examples=200, deadline=None)
@given(SIDES, SIDES, BOXES, BOXES, st.sampled_from(["whole", "masked"]))
def test_a_part_undone_is_the_crop_of_the_whole(height, width, box, part, mode) -> None:
    region = _plan(_mask(height, width, box), mode)
    left, top = region.box[:2]
    x, y, right, bottom = bounding_box(_mask(*region.box_size, part))
    canvas = np.random.default_rng(width).random((*region.canvas, 3), dtype=np.float32)
    undone = region.undo(canvas, (left + x, top + y, left + right, top + bottom))
    whole = region.undo(canvas)[y:bottom, x:right]
    assert undone.shape == whole.shape
    assert np.abs(undone - whole).max() < 1e-3
    assert _is_scaled(region) or np.array_equal(undone, whole)


def test_a_part_undone_takes_the_memory_of_the_part() -> None:
    region = _plan(_mask(3000, 4000, (0, 0, 1, 1)), "whole", native_size=64)
    canvas = np.zeros((*region.canvas, 3), np.float32)
    tracemalloc.start()
    undone = region.undo(canvas, (1000, 1000, 1100, 1050))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert undone.shape == (50, 100, 3)
    assert peak < 2**20  # the whole would be 144 MB


def test_the_callers_padding_is_kept_to_the_pixel() -> None:
    mask = np.zeros((400, 400), bool)
    mask[200:220, 100:120] = True
    assert _plan(mask, "masked", padding_px=7).box == (93, 193, 127, 227)
    assert _plan(mask, "masked", padding_px=0).box == (100, 200, 120, 220)


def test_padding_mirrors_the_picture_and_the_mask_alike() -> None:
    mask = np.zeros((40, 60), bool)
    mask[:, 58:] = True
    region = _plan(mask, "whole")
    assert region.canvas == (48, 64)
    pixels = np.random.default_rng(0).random((40, 60, 3), dtype=np.float32)
    canvas, lit = _applied(region, pixels), region.apply_mask(mask)
    assert np.array_equal(canvas[:40, 60:64], pixels[:, 58:54:-1])
    assert np.array_equal(lit[:40, 60:64], mask[:, 58:54:-1])


def test_the_reference_region_never_scales() -> None:
    for size in ((2000, 3000), (7, 9)):
        region = reference_region(*size, size_multiple=8)
        assert not _is_scaled(region)
        assert region.box == (0, 0, size[1], size[0])
        assert all(side % 8 == 0 and 0 <= side - own < 8 for side, own in zip(region.canvas, size, strict=True))


def test_an_empty_mask_has_no_crop() -> None:
    with pytest.raises(MaskEmpty):
        _plan(np.zeros((9, 9), bool), "masked")


def test_a_multiple_that_is_no_divisor_of_the_bucket_holds_too() -> None:
    region = _plan(_mask(100, 100, (0, 0, 1, 1)), "whole", size_multiple=24, bucket=16)
    assert all(side % 48 == 0 for side in region.canvas)


def test_a_region_is_plain_json() -> None:
    parsed = _plan(_mask(100, 100, (0, 0, 1, 1))).to_dict()
    assert parsed["mode"] == "whole"
    assert parsed["box"] == [0, 0, 100, 100]


def test_what_needs_no_model_keeps_the_pictures_scale_and_sees_as_much_again_around_the_mask() -> None:
    mask = _mask(400, 600, (0.25, 0.5, 0.1, 0.2))
    region = unscaled_region(mask)
    assert region.box == (300 - 120, 0, 300 + 240, 100 + 40 + 120)
    assert region.canvas == region.scaled == region.box_size
    assert unscaled_region(mask, padding_px=50).box == (250, 50, 470, 190)
    assert unscaled_region(mask, padding_px=0).box == (300 - 32, 100 - 32, 420 + 32, 140 + 32)
    assert unscaled_region(mask, mode="whole").box == (0, 0, 600, 400)


@pytest.mark.parametrize(("height", "width"), [(3000, 4001), (1, 9_000_000), (9_000_000, 1)])
def test_what_needs_no_model_is_scaled_down_where_it_is_too_large(height: int, width: int) -> None:
    region = unscaled_region(np.ones((height, width), bool))
    assert 0.99 * UNSCALED_AREA <= region.canvas[0] * region.canvas[1] <= UNSCALED_AREA
