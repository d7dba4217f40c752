"""Polarity, alpha and threshold are settled once; True = repaint after it."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from retouch.errors import MaskEmpty, MaskError, MaskSizeError
from retouch.imaging.mask import MaskOptions, cover_mask, latent_mask, mask_strength, nearest_mask, prepare_mask
from retouch.imaging.picture import Picture

GREY = np.array([[0, 100, 128, 255]], np.uint8)
ALPHA = np.array([[255, 128, 127, 0]], np.uint8)
WHITE = MaskOptions(polarity="white", threshold=0.5, grow_px=0, fill_holes=False)


def _read(picture: Picture, **options: object) -> np.ndarray:
    return prepare_mask(
        picture, height=picture.height, width=picture.width, options=replace(WHITE, **options)
    ).pixels.astype(int)


@pytest.mark.parametrize(
    ("polarity", "expected"),
    [("white", [0, 0, 1, 1]), ("black", [1, 1, 0, 0])],
)
def test_white_and_black_are_judged_by_luminance(polarity: str, expected: list) -> None:
    for picture in (
        Picture(GREY),
        Picture(np.dstack([GREY] * 3)),
        Picture(GREY.astype(np.uint16) * 257),
        Picture(GREY, np.full_like(GREY, 255)),
        Picture(GREY, np.full_like(GREY, 7)),
        Picture(GREY, np.zeros_like(GREY)),
    ):
        assert _read(picture, polarity=polarity)[0].tolist() == expected


@pytest.mark.parametrize(
    ("polarity", "expected"),
    [("transparent", [0, 0, 1, 1]), ("opaque", [1, 1, 0, 0])],
)
def test_transparent_and_opaque_are_judged_by_alpha(polarity: str, expected: list) -> None:
    for depth, factor in ((np.uint8, 1), (np.uint16, 257)):
        alpha = ALPHA.astype(depth) * depth(factor)
        picture = Picture(np.zeros_like(alpha), alpha)
        assert _read(picture, polarity=polarity)[0].tolist() == expected


@pytest.mark.parametrize("polarity", ["transparent", "opaque"])
def test_a_mask_without_alpha_cannot_be_read_by_alpha(polarity: str) -> None:
    with pytest.raises(MaskError) as caught:
        _read(Picture(GREY), polarity=polarity)
    assert "alpha" in caught.value.hint


def test_strokes_on_a_clear_canvas_work_for_both_colours() -> None:
    alpha = np.array([[255, 255, 0, 0]], np.uint8)
    white_strokes = Picture(np.array([[255, 0, 255, 0]], np.uint8), alpha)
    assert _read(white_strokes, polarity="white")[0].tolist() == [1, 0, 0, 0]
    assert _read(white_strokes, polarity="black")[0].tolist() == [0, 1, 0, 0]


def test_a_mask_that_varies_in_alpha_alone_gets_a_hint() -> None:
    picture = Picture(np.full((1, 4), 255, np.uint8), ALPHA)
    prepared = prepare_mask(picture, height=1, width=4, options=WHITE)
    assert "transparent or opaque" in prepared.hint
    with pytest.raises(MaskEmpty) as caught:
        _read(Picture(np.zeros((1, 4), np.uint8), ALPHA))
    assert "transparent or opaque" in caught.value.hint


@settings(max_examples=1000)
@given(st.integers(0, 255), st.floats(0, 1, exclude_min=True), st.sampled_from(["white", "black"]))
def test_a_sample_at_the_threshold_is_marked(value: int, threshold: float, polarity: str) -> None:
    picture = Picture(np.array([[value, 255 if polarity == "white" else 0]], np.uint8))
    share = (value if polarity == "white" else 255 - value) / 255
    marked = _read(picture, threshold=threshold, polarity=polarity)[0, 0]
    if abs(share - threshold) > 1e-9:
        assert marked == (share >= threshold)


def test_white_and_black_are_opposites() -> None:
    samples = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    white, _ = mask_strength(Picture(samples), "white")
    black, _ = mask_strength(Picture(samples), "black")
    assert np.array_equal(white, 255 - black)


def test_another_size_is_an_error_and_never_resized() -> None:
    with pytest.raises(MaskSizeError, match=r"4x1.*4x2"):
        prepare_mask(Picture(GREY), height=2, width=4, options=WHITE)


def test_an_empty_mask_is_an_error_that_names_the_polarity() -> None:
    with pytest.raises(MaskEmpty) as caught:
        _read(Picture(np.zeros((3, 3), np.uint8)))
    assert "white" in caught.value.hint


def test_holes_are_filled_before_the_mask_grows() -> None:
    ring = np.zeros((11, 11), np.uint8)
    ring[3:8, 3:8] = 255
    ring[5, 5] = 0
    filled = _read(Picture(ring), fill_holes=True)
    assert filled.sum() == 25
    assert _read(Picture(ring), fill_holes=True, grow_px=1).sum() == 25 + 20
    assert _read(Picture(ring)).sum() == 24


@settings(max_examples=500)
@given(hnp.arrays(bool, st.tuples(st.integers(1, 5), st.integers(1, 5)).map(lambda s: (s[0] * 4, s[1] * 4))))
def test_cover_marks_a_cell_if_any_pixel_is_marked_and_nearest_if_its_first_is(mask: np.ndarray) -> None:
    cover, nearest = cover_mask(mask, 4), nearest_mask(mask, 4)
    for row in range(cover.shape[0]):
        for column in range(cover.shape[1]):
            cell = mask[row * 4 : row * 4 + 4, column * 4 : column * 4 + 4]
            assert cover[row, column] == cell.any()
            assert nearest[row, column] == cell[0, 0]


@pytest.mark.parametrize("place", range(16))
def test_a_stroke_of_one_pixel_never_vanishes_in_cover(place: int) -> None:
    mask = np.zeros((16, 16), bool)
    mask[place] = True
    assert cover_mask(mask, 8).any()
    assert cover_mask(mask.T, 8).any()


def test_sides_that_do_not_divide_are_an_error() -> None:
    for to_cells in (cover_mask, nearest_mask):
        with pytest.raises(MaskSizeError):
            to_cells(np.ones((8, 9), bool), 8)


@pytest.mark.parametrize("alpha", [False, True])
def test_a_coloured_mask_is_read_in_little_more_than_its_own_memory(alpha: bool) -> None:
    pixels = np.zeros((1500, 1000, 3), np.uint8)
    pixels[:10] = 255
    source = Picture(pixels, np.tile(np.arange(1000, dtype=np.uint8), (1500, 1)) if alpha else None)
    tracemalloc.start()
    mask_strength(source, "white")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * pixels.nbytes


def _layer(*, border: int) -> Picture:
    """A mask whose alpha is `border` around and the other inside, with red where it is opaque."""
    alpha = np.full((16, 16), border, np.uint8)
    alpha[4:12, 4:12] = 255 - border
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[..., 0] = alpha
    return Picture(pixels, alpha)


def test_red_strokes_on_a_clear_layer_name_the_polarity_opaque() -> None:
    with pytest.raises(MaskEmpty) as caught:
        prepare_mask(_layer(border=0), height=16, width=16, options=WHITE)
    assert "`mask_polarity=opaque`" in caught.value.hint


def test_an_opaque_picture_with_a_hole_names_the_polarity_transparent() -> None:
    picture = _layer(border=255)
    picture.pixels[...] = picture.pixels * 0 + np.arange(16, dtype=np.uint8)[:, None] * 16
    prepared = prepare_mask(Picture(picture.pixels, picture.alpha), height=16, width=16, options=WHITE)
    assert "`mask_polarity=transparent`" in prepared.hint


def test_white_strokes_on_a_clear_layer_need_no_hint() -> None:
    layer = _layer(border=0)
    white = np.repeat((layer.pixels[..., :1] > 0) * np.uint8(255), 3, axis=2)
    assert prepare_mask(Picture(white, layer.alpha), height=16, width=16, options=WHITE).hint == ""


def test_a_mask_of_zeros_and_ones_in_bytes_is_told_as_that() -> None:
    ones = np.zeros((8, 8), np.uint8)
    ones[2:4] = 1
    with pytest.raises(MaskEmpty) as caught:
        prepare_mask(Picture(ones), height=8, width=8, options=WHITE)
    assert "0 and 1" in caught.value.hint
    with pytest.raises(MaskEmpty) as caught:
        prepare_mask(Picture(ones * np.uint8(76)), height=8, width=8, options=WHITE)
    assert "reaches 0.30" in caught.value.hint
    assert "`mask_threshold`" in caught.value.hint


def test_the_latent_mask_follows_the_rule_that_is_asked_for() -> None:
    mask = np.zeros((4, 4), np.bool_)
    mask[1, 1] = True
    assert np.array_equal(latent_mask(mask, "cover", 2), cover_mask(mask, 2))
    assert np.array_equal(latent_mask(mask, "nearest", 2), nearest_mask(mask, 2))
