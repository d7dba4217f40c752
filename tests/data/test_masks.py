import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retouch.data import masks

SIZE = (96, 128)


def rngs(count: int):
    return (np.random.default_rng(seed) for seed in range(count))


def test_a_box_covers_exactly_its_bounds():
    mask = masks.box((10, 12), (2, 3, 7, 9))
    assert mask.sum() == 5 * 6
    assert masks.bounding_box(mask) == (2, 3, 7, 9)


def test_a_box_over_the_edge_is_clipped():
    assert masks.box((10, 10), (-5, -5, 3, 20)).sum() == 3 * 10


@given(st.integers(0, 50), st.integers(0, 50), st.integers(3, 60), st.integers(3, 60))
def test_an_ellipse_fills_pi_quarters_of_its_box_and_stays_inside(left: int, top: int, width: int, height: int):
    bounds = (left, top, left + width, top + height)
    mask = masks.ellipse((128, 128), bounds)
    assert not (mask & ~masks.box((128, 128), bounds)).any()
    assert abs(mask.sum() - np.pi / 4 * width * height) < 2 * (width + height)


def test_dilation_grows_a_straight_edge_by_its_radius():
    mask = masks.box((64, 64), (0, 0, 64, 32))
    for radius in (2, 5, 9):
        grown = masks.dilate(mask, radius)
        assert not (mask & ~grown).any()
        assert abs(masks.bounding_box(grown)[3] - 32 - radius) <= 1


def test_shifting_loses_what_leaves_and_wraps_nothing():
    mask = masks.box((8, 8), (6, 0, 8, 2))
    assert masks.shifted(mask, 0, 1).sum() == 2
    assert masks.shifted(mask, 0, 2).sum() == 0
    assert masks.shifted(mask, 3, -2)[3:5, 4:6].all()


@pytest.mark.parametrize(
    ("kind", "low", "high"), [("thin", 0.04, 0.35), ("medium", 0.12, 0.45), ("thick", 0.15, 0.55)]
)
def test_irregular_masks_cover_what_their_kind_says_on_average(kind: masks.IrregularKind, low: float, high: float):
    shares = [masks.irregular(rng, (128, 128), kind).mean() for rng in rngs(80)]
    assert low < np.mean(shares) < high
    assert np.std(shares) > 0.02
    assert min(shares) > 0


# Means of LaMa's own generators over 10,000 masks of 512 px.
@pytest.mark.parametrize(("kind", "published"), [("thin", 0.297), ("medium", 0.306), ("thick", 0.443)])
def test_irregular_masks_cover_as_much_as_lamas(kind: masks.IrregularKind, published: float):
    shares = [masks.irregular(rng, (128, 128), kind).mean() for rng in rngs(600)]
    assert np.mean(shares) == pytest.approx(published, abs=3 * np.std(shares) / 600**0.5)


def test_a_brush_is_round_at_both_ends_and_as_wide_as_asked():
    brush = masks.Brush((40, 60))
    brush.line((15, 20), (45, 20), 11)
    assert masks.bounding_box(brush.mask) == (10, 15, 51, 26)
    assert brush.mask[15, 15:46].all()
    assert not brush.mask[15, :12].any()
    assert brush.mask.sum() == pytest.approx(30 * 11 + np.pi * 5.5**2, rel=0.03)


def test_a_brush_beyond_the_border_marks_what_is_inside():
    brush = masks.Brush((20, 20))
    brush.line((-30, -30), (-25, -30), 6)
    assert not brush.mask.any()
    brush.line((20, 20), (20, 20), 6)
    assert brush.mask[18, 18]


def test_thin_strokes_are_thinner_than_thick_ones():
    def survives(kind: masks.IrregularKind) -> float:
        grown = [masks.dilate(~masks.irregular(rng, (128, 128), kind), 6) for rng in rngs(30)]
        return float(np.mean([(~g).mean() for g in grown]))

    assert survives("thin") < 0.25 * survives("thick")


def test_irregular_masks_respect_the_largest_area():
    assert all(masks.irregular(rng, SIZE, "thick", max_area=0.3).mean() <= 0.3 for rng in rngs(60))


@pytest.mark.parametrize("make", [masks.irregular, masks.random_box, masks.random_ellipse])
def test_the_same_generator_state_gives_the_same_mask(make):
    first, second = make(np.random.default_rng(5), SIZE), make(np.random.default_rng(5), SIZE)
    assert np.array_equal(first, second)
    assert first.shape == SIZE
    assert first.dtype == np.bool_


def test_masks_around_an_object_hold_all_of_it_and_little_more():
    alpha = (masks.ellipse((128, 128), (40, 30, 90, 100)) * 255).astype(np.uint8)
    for rng in rngs(60):
        mask = masks.around_object(rng, alpha, 0.1)
        assert mask[alpha > 8].all()
        left, top, right, bottom = masks.bounding_box(mask)
        # Margin 0.1 of 70 px, twice for a blob's shift, plus rounding.
        assert left >= 40 - 17
        assert top >= 30 - 17
        assert right <= 90 + 17
        assert bottom <= 100 + 17


def test_masks_around_an_object_take_several_shapes():
    alpha = (masks.ellipse((128, 128), (40, 30, 90, 100)) * 255).astype(np.uint8)
    fill = []
    for rng in rngs(60):
        mask = masks.around_object(rng, alpha, 0.1)
        left, top, right, bottom = masks.bounding_box(mask)
        fill.append(mask.sum() / ((right - left) * (bottom - top)))
    assert np.mean(np.array(fill) > 0.99) > 0.2
    assert np.mean(np.array(fill) < 0.9) > 0.3


def test_the_full_mask_is_full():
    assert masks.full(SIZE).all()


def test_an_empty_mask_has_no_bounding_box():
    with pytest.raises(ValueError, match="empty"):
        masks.bounding_box(np.zeros((4, 4), dtype=np.bool_))


def test_a_loose_mask_holds_its_object_with_much_room():
    alpha = np.zeros((64, 64), np.uint8)
    alpha[24:40, 26:38] = 255
    areas = []
    for seed in range(40):
        mask = masks.loosely_around(np.random.default_rng(seed), alpha)
        assert mask[alpha > 8].all()
        areas.append(mask.sum() / (alpha > 8).sum())
    assert np.median(areas) > 1.5


def test_masks_over_ground_are_never_empty_and_of_every_size():
    shares = [masks.anywhere(np.random.default_rng(seed), (64, 64)).mean() for seed in range(200)]
    assert min(shares) > 0
    assert min(shares) < 0.05
    assert max(shares) > 0.3
