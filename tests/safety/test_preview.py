"""A preview shows no more than the local checkers let pass, and kept pixels as they are."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from tests.safety.red import RED, RedChecker, grey

from retouch.imaging.morphology import Mask
from retouch.imaging.picture import Picture
from retouch.imaging.region import Region, plan_region
from retouch.request import SafetyPolicy
from retouch.safety.checkers import OpenNsfwChecker
from retouch.safety.policy import Score
from retouch.safety.preview import PreviewGround
from retouch.safety.views import Exhibit

RNG = np.random.default_rng(0)


class Service(RedChecker):
    """A paid checker, which would let everything pass."""

    name, is_local = "service", False

    def check(self, exhibit: Exhibit) -> list[Score]:
        raise AssertionError("a paid checker was asked for a preview")


class Broken(RedChecker):
    def scores(self, views: Sequence[np.ndarray]) -> list[float]:
        raise RuntimeError("out of order")


def hole(height: int, width: int) -> Mask:
    mask = np.zeros((height, width), bool)
    mask[height // 4 : height // 2, width // 4 : width // 2] = True
    return mask


def rough(red: bool = False, side: int = 8) -> np.ndarray:
    """A rough picture with a lot of detail, on grey or on red."""
    ground = np.array(RED if red else (90, 90, 90), np.float32)[:, None, None] / 255
    return np.clip(ground + RNG.normal(0, 0.1, (3, side, side)), 0, 1).astype(np.float32)


def whole(height: int, width: int) -> Region:
    return Region("whole", (height, width), (0, 0, width, height), (height, width), (height, width))


def noise(height: int = 64, width: int = 64, *, depth: type = np.uint8) -> np.ndarray:
    return RNG.integers(0, np.iinfo(depth).max, (height, width, 3), dtype=depth, endpoint=True)


def ground(picture: Picture | None = None, **fields: Any) -> PreviewGround:
    picture = picture or Picture(grey())
    size = picture.height, picture.width
    return PreviewGround.of(picture, hole(*size), whole(*size), **fields)


@pytest.mark.parametrize("policy", ["black", "blur", "error", "off"])
def test_kept_pixels_are_identical_at_full_size_whatever_is_shown(policy: SafetyPolicy) -> None:
    picture = Picture(noise())
    for checkers in ([RedChecker()], [Broken()], []):
        for is_red in (False, True):
            shown = ground(picture).shown(rough(is_red), checkers, policy)
            assert np.array_equal(shown.pixels[~hole(64, 64)], picture.pixels[~hole(64, 64)])


def test_what_the_local_checkers_let_pass_is_shown_as_it_is() -> None:
    preview = rough(side=64)
    shown = ground().shown(preview, [RedChecker(), Service()], "black")
    mask = hole(64, 64)
    assert np.array_equal(shown.pixels[mask], np.rint(preview * 255).astype(np.uint8).transpose(1, 2, 0)[mask])


@pytest.mark.parametrize("policy", ["black", "blur", "error"])
@pytest.mark.parametrize(
    ("checkers", "is_red"),
    [
        ([RedChecker()], True),
        ([Broken()], False),
        ([RedChecker(), Broken()], False),
        ([], False),
        ([Service()], False),
    ],
)
def test_what_is_refused_or_was_not_judged_is_a_blur(
    policy: SafetyPolicy, checkers: list[Any], is_red: bool
) -> None:
    """Previews with equal means in every cell of its grid look the same: nothing finer is left."""
    picture, mask = Picture(grey(128, 128)), np.ones((128, 128), bool)
    cells = np.kron(rough(is_red, 8), np.ones((1, 16, 16), np.float32)) * 0.8 + 0.1
    detail = np.where(np.indices((128, 128)).sum(0) % 2, 0.1, -0.1).astype(np.float32)
    made = PreviewGround.of(picture, mask, whole(128, 128))
    one, two = (made.shown(fine.astype(np.float32), checkers, policy).pixels for fine in (cells, cells + detail))
    assert np.abs(one.astype(int) - two).max() <= 1
    assert not np.array_equal(one, made.shown(cells.astype(np.float32), checkers, "off").pixels)


def test_under_off_nothing_is_judged() -> None:
    preview = rough(True, 64)
    shown = ground().shown(preview, [Broken()], "off")
    assert tuple(shown.pixels[20, 20]) == tuple(np.rint(preview[:, 20, 20] * 255).astype(int))


def test_an_unsafe_fill_too_small_for_the_whole_is_judged_by_itself() -> None:
    mask = np.zeros((400, 400), bool)
    mask[100:150, 100:150] = True
    made = PreviewGround.of(Picture(grey(400, 400)), mask, whole(400, 400))
    patterned = rough(True, 400)
    shown = made.shown(patterned, [RedChecker()], "black").pixels[100:150, 100:150]
    assert shown.astype(int).std() < np.rint(patterned[:, 100:150, 100:150] * 255).std()
    assert not np.array_equal(shown, made.shown(patterned, [], "off").pixels[100:150, 100:150])


def test_large_pictures_are_scaled_and_no_repainted_pixel_is_taken_for_a_kept_one() -> None:
    picture = Picture(noise(700, 1100, depth=np.uint16))
    mask = np.zeros((700, 1100), bool)
    mask[301, 501] = True
    other = picture.with_pixels(np.where(mask[..., None], 65_535 - picture.pixels, picture.pixels))
    preview = rough()
    one, two = (
        PreviewGround.of(which, mask, whole(700, 1100), side_px=100).shown(preview, [], "black")
        for which in (picture, other)
    )
    assert (one.width, one.height, one.pixels.dtype) == (100, 64, np.uint8)
    assert np.array_equal(one.pixels, two.pixels)


@pytest.mark.parametrize("mode", ["whole", "masked"])
def test_the_preview_lies_where_the_region_will_be_laid(mode: Any) -> None:
    """A canvas painted with its own coordinates shows them at the place of the picture that they stand for."""
    height, width = 300, 420
    mask = np.zeros((height, width), bool)
    mask[10:90, 300:400] = True
    region = plan_region(mask, mode=mode, native_size=128, size_multiple=16)
    rows, columns = region.canvas
    down, across = np.meshgrid(np.linspace(0, 1, rows // 4), np.linspace(0, 1, columns // 4), indexing="ij")
    canvas = np.stack([down, across, np.zeros_like(down)]).astype(np.float32)
    full = np.stack(np.meshgrid(np.linspace(0, 1, rows), np.linspace(0, 1, columns), indexing="ij"), axis=-1)
    wanted = region.undo(np.dstack([full, np.zeros((rows, columns, 1))]).astype(np.float32))
    left, top, right, bottom = region.box
    placed = np.zeros((height, width, 3), np.float32)
    placed[top:bottom, left:right] = wanted
    made = PreviewGround.of(Picture(grey(height, width)), mask, region)
    shown = made.shown(canvas, [], "off").pixels.astype(np.float32) / 255
    assert np.abs(shown - placed)[mask].max() < 0.02


def test_transparency_that_is_the_mask_becomes_opaque_and_other_transparency_stays() -> None:
    alpha = np.where(hole(64, 64), 0, 255).astype(np.uint8)
    picture = Picture(grey(), alpha=alpha)
    opaque = ground(picture, alpha_is_mask=True).shown(rough(), [RedChecker()], "black")
    assert opaque.alpha is not None
    assert (opaque.alpha == 255).all()
    kept = ground(picture).shown(rough(), [RedChecker()], "black")
    assert kept.alpha is not None
    assert np.array_equal(kept.alpha, alpha)


def test_colours_that_nobody_sees_do_not_bleed_into_a_scaled_preview() -> None:
    pixels, alpha = grey(600, 600), np.full((600, 600), 255, np.uint8)
    pixels[::2], alpha[::2] = RED, 0
    shown = ground(Picture(pixels, alpha=alpha), side_px=100).shown(rough(), [], "off")
    assert np.abs(shown.pixels[~hole(100, 100)].astype(int) - 90).max() <= 1


def test_a_grey_picture_stays_grey() -> None:
    shown = ground(Picture(grey()[..., 0])).shown(rough(), [RedChecker()], "black")
    assert shown.pixels.shape == (64, 64)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_show_a_flat_colour(value: float) -> None:
    shown = ground().shown(np.full((3, 8, 8), value, np.float32), [RedChecker()], "black")
    assert len(np.unique(shown.pixels[hole(64, 64)])) == 1


@pytest.mark.parametrize("size", [(512, 512), (3000, 4000)])
def test_a_preview_is_cheap_to_judge(size: tuple[int, int]) -> None:
    """Its figures are those of `pytest tests/safety/test_preview.py -k cheap -s`."""
    picture, mask, checker, preview = Picture(noise(*size)), hole(*size), OpenNsfwChecker(), rough(side=64)
    start = time.thread_time()
    made = PreviewGround.of(picture, mask, whole(*size))
    ready = time.thread_time()
    seconds: dict[str, float] = {}
    for name, checkers in (("laid", []), ("first", [checker]), ("judged", [checker])):
        since = time.thread_time()
        made.shown(preview, checkers, "off" if name == "laid" else "black")
        seconds[name] = time.thread_time() - since
    ms = {name: f"{1000 * value:.1f} ms" for name, value in {"ground": ready - start, **seconds}.items()}
    print(f"\n{size[1]}x{size[0]}: ground once {ms['ground']}, laid {ms['laid']}, judged {ms['judged']}")
    assert seconds["judged"] < 2.0
