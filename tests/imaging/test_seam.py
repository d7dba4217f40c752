"""No border shows: what differs along it is spread inward, and nothing else changes."""

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from retouch.imaging import seam
from retouch.imaging.composite import composite
from retouch.imaging.feather import feather_weights
from retouch.imaging.picture import Picture
from retouch.imaging.seam import correct_seam

Mode = Literal["harmonic", "rendered"]
MODES: tuple[Mode, ...] = ("harmonic", "rendered")
both = pytest.mark.parametrize("mode", MODES)


def _scene(seed: int = 0, size: int = 48) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    waves = [np.sin(rng.uniform(2, 9) * x + rng.uniform(2, 9) * y) for _ in range(3)]
    original = (0.5 + 0.2 * np.stack(waves, axis=-1)).astype(np.float32)
    hole = np.zeros((size, size), bool)
    hole[14:34, 12:36] = True
    return original, hole


def _holes() -> dict[str, NDArray[np.bool_]]:
    _, box = _scene()
    islands = box.copy()
    islands[18:21, 18:21] = islands[27, 30] = False
    stroke = np.zeros_like(box)
    stroke[20, 5:40] = True
    border = np.zeros_like(box)
    border[:20, :30] = True
    corner = np.ones_like(box)
    corner[-1, -1] = False
    return {"box": box, "islands": islands, "stroke": stroke, "border": border, "all but a corner": corner}


@both
@pytest.mark.parametrize("name", _holes())
@pytest.mark.parametrize("shift", [0.001, -0.2, 0.6])
def test_a_shift_that_is_the_same_all_along_the_border_goes_wholly(mode: Mode, name: str, shift: float) -> None:
    hole = _holes()[name]
    fill = np.full((*hole.shape, 3), 0.3, np.float32)
    original = fill + np.float32(shift)
    corrected = correct_seam(fill, original, hole, ~hole, mode=mode)
    assert np.allclose(corrected[hole], original[hole], atol=1e-5)


@both
def test_where_nothing_differs_nothing_changes(mode: Mode) -> None:
    original, hole = _scene()
    fill = np.full_like(original, 0.4) if mode == "harmonic" else original
    same = fill.copy()
    assert np.array_equal(correct_seam(fill, same, hole, ~hole, mode=mode), fill)


def test_a_shift_of_what_was_rendered_is_undone_and_edges_along_the_border_stay() -> None:
    original, hole = _scene()
    original[:, 36:] = 0.9  # an edge of the picture, right at the border of the hole
    y = np.mgrid[:48, :48][0][..., None].astype(np.float32) / 48
    shifted = original - 0.05 + 0.1 * y
    corrected = correct_seam(shifted, original, hole, ~hole, mode="rendered")
    assert np.abs(corrected - original)[hole].max() < 0.01


def test_an_object_at_the_border_keeps_more_of_its_colour_than_ground_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original, hole = np.full((48, 48, 3), 0.5, np.float32), _scene()[1]
    fill = np.full_like(original, 0.4)
    fill[26:34, 18:30] = (1, 0, 0)  # it stands on the lower border
    damped = correct_seam(fill, original, hole, ~hole, mode="harmonic")
    monkeypatch.setattr(seam, "_OBJECT_STEP", np.float32(1e9))
    undamped = correct_seam(fill, original, hole, ~hole, mode="harmonic")
    assert np.abs(damped - original)[15:20, 13:35].max() < np.abs(undamped - original)[15:20, 13:35].max() < 0.15
    moved, would_have = (np.abs(one - fill)[29:34, 20:28].mean() for one in (damped, undamped))
    assert moved < 0.75 * would_have


@both
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_nothing_under_the_hole_or_unknown_is_looked_at(mode: Mode, seed: int) -> None:
    original, _ = _scene()
    rng = np.random.default_rng(seed)
    hole = rng.random((48, 48)) < 0.5
    kept = ~hole & (rng.random((48, 48)) < 0.7)
    fill = rng.random((48, 48, 3), np.float32)
    hidden = original.copy()
    hidden[~kept] = rng.random((int((~kept).sum()), 3))
    one, other = (correct_seam(fill, picture, hole, kept, mode=mode) for picture in (original, hidden))
    assert np.array_equal(one, other)
    assert np.array_equal(one[~hole], fill[~hole])
    assert np.isfinite(one).all()


@both
def test_without_a_kept_pixel_beside_it_the_fill_stays(mode: Mode) -> None:
    original, hole = _scene()
    assert correct_seam(original, original + 1, hole, np.zeros_like(hole), mode=mode) is original
    assert correct_seam(original, original + 1, np.ones_like(hole), np.zeros_like(hole), mode=mode) is original


@both
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("is_grey", [False, True])
@pytest.mark.parametrize("name", _holes())
def test_kept_pixels_stay_and_a_shift_ends_at_the_picture_s_own_depth(
    mode: Mode, depth: type[np.uint8] | type[np.uint16], is_grey: bool, name: str
) -> None:
    hole = _holes()[name]
    peak = np.iinfo(depth).max
    picture = Picture(np.full((48, 48) if is_grey else (48, 48, 3), peak * 3 // 5, depth))
    fill = picture.to_unit() - np.float32(0.1)
    corrected = correct_seam(fill, picture.to_unit(), hole, ~hole, mode=mode)
    done = composite(picture, corrected, (0, 0, 48, 48), feather_weights(hole, 0))
    assert done.kept_pixels_identical
    assert np.abs(done.picture.pixels.astype(int) - picture.pixels).max() <= peak // 20_000
