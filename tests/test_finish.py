"""From denoised canvases to a result: composited, measured, judged, each variant for itself."""

import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from retouch.engine.ticket import Denoised
from retouch.errors import NonFinite
from retouch.finish import finish
from retouch.inpainter import Inpainter
from retouch.models.bundle import Recommended
from retouch.opened import open_pictures
from retouch.prepare import Prepared, prepare, settle
from retouch.request import DEFAULT_LIMITS, InpaintRequest, SeamMode
from retouch.result import InpaintResult
from retouch.safety.checkers import ViewChecker


class FlagBright(ViewChecker):
    """A checker that refuses what is brighter than mid-grey."""

    name, version, threshold, near = "test", "1", 0.5, 0.4

    def scores(self, views: Sequence[NDArray[np.uint8]]) -> list[float]:
        return [float(view.mean() / 255) for view in views]


@pytest.fixture
def prepared(inpainter: Inpainter) -> Prepared:
    image = np.full((32, 32, 3), 40, np.uint8)
    request = InpaintRequest("a cat", image, np.full((32, 32), 255, np.uint8), seed=1)
    return prepare(
        open_pictures(settle(request, inpainter.bundle, DEFAULT_LIMITS), DEFAULT_LIMITS),
        inpainter.bundle,
        since=time.monotonic(),
    )


def _denoised(prepared: Prepared, level: float, seed: int, queued: float = 0.0) -> Denoised:
    height, width = prepared.place.region.canvas
    return Denoised(torch.full((3, height, width), level), torch.zeros(4, 8, 8), seed, 1, 2, {"queued": queued})


def test_each_variant_is_judged_for_itself(prepared: Prepared, inpainter: Inpainter) -> None:
    denoised = [_denoised(prepared, 0.2, 1), _denoised(prepared, 0.9, 2)]
    result = finish(prepared, denoised, inpainter.bundle, [FlagBright()], started=time.perf_counter())
    assert result.nsfw_content_detected == [False, True]
    assert np.asarray(result.images[0]).max() == 51
    assert np.asarray(result.images[1]).max() == 0
    assert [fill.kept_pixels_identical for fill in result.fills] == [True, None]


def test_timings_are_those_of_the_slowest_variant(prepared: Prepared, inpainter: Inpainter) -> None:
    denoised = [_denoised(prepared, 0.2, 1, queued=3.0), _denoised(prepared, 0.2, 2, queued=1.0)]
    result = finish(prepared, denoised, inpainter.bundle, [FlagBright()], started=time.perf_counter())
    assert result.timings_s["queued"] == 3.0
    assert result.timings_s["total"] >= result.timings_s["finish"] > 0


def test_values_that_are_no_numbers_are_an_error_and_never_a_verdict(
    prepared: Prepared, inpainter: Inpainter
) -> None:
    with pytest.raises(NonFinite):
        finish(
            prepared,
            [_denoised(prepared, float("nan"), 1)],
            inpainter.bundle,
            [FlagBright()],
            started=time.perf_counter(),
        )


def test_variants_share_what_is_costly_to_record(prepared: Prepared, inpainter: Inpainter) -> None:
    denoised = [_denoised(prepared, 0.2, 1), _denoised(prepared, 0.3, 2)]
    result = finish(prepared, denoised, inpainter.bundle, [FlagBright()], started=time.perf_counter())
    one, two = (fill.metadata.record for fill in result.fills)
    assert one["mask"] is two["mask"]
    assert (one["request"]["seed"], two["request"]["seed"]) == (1, 2)


@pytest.mark.parametrize("matched", [False, True])
def test_finishing_a_large_picture_takes_memory_for_the_painted_part(inpainter: Inpainter, matched: bool) -> None:
    image = np.full((1500, 2000, 3), 40, np.uint8)
    mask = np.zeros((1500, 2000), np.uint8)
    mask[700:760, 900:980] = 255
    request = InpaintRequest("a cat", image, mask, seed=1, region="whole", match_colors=matched, safety="off")
    request = replace(request, seam="off")  # a flat fill over flat ground would be corrected to nothing
    prepared = prepare(
        open_pictures(settle(request, inpainter.bundle, DEFAULT_LIMITS), DEFAULT_LIMITS),
        inpainter.bundle,
        since=time.monotonic(),
    )
    tracemalloc.start()
    result = finish(prepared, [_denoised(prepared, 0.2, 1)], inpainter.bundle, [FlagBright()], started=0.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert result.kept_pixels_identical
    changed = (result.fills[0].picture.pixels != image).any(axis=2)
    assert np.array_equal(changed, mask > 0) or matched
    assert (
        peak < 36e6 + 9e6
    )  # what compositing and measuring take; the fill of the whole region would be 36 MB more


def test_a_feather_that_swallows_the_mask_is_told(inpainter: Inpainter) -> None:
    mask = np.zeros((32, 32), np.uint8)
    mask[15:18] = 255
    request = InpaintRequest("a cat", np.zeros((32, 32, 3), np.uint8), mask, seed=1, feather_px=8)
    prepared = prepare(
        open_pictures(settle(request, inpainter.bundle, DEFAULT_LIMITS), DEFAULT_LIMITS),
        inpainter.bundle,
        since=time.monotonic(),
    )
    result = finish(prepared, [_denoised(prepared, 0.2, 1)], inpainter.bundle, [FlagBright()], started=0.0)
    assert any("too thin for a feather of 8 px" in warning for warning in result.warnings)


def _shifted(inpainter: Inpainter, seam: SeamMode, **fields: Any) -> InpaintResult:
    """Finish a fill of one level over a picture of another, as a model that darkens everything would paint it."""
    mask = np.zeros((32, 32), np.uint8)
    mask[8:20, 8:20] = 255
    request = InpaintRequest(
        "a cat", **({"image": np.full((32, 32, 3), 60, np.uint8)} | fields), seed=1, seam=seam
    )
    request = replace(request, mask_image=mask, region="whole", safety="off")
    prepared = prepare(
        open_pictures(settle(request, inpainter.bundle, DEFAULT_LIMITS), DEFAULT_LIMITS),
        inpainter.bundle,
        since=time.monotonic(),
    )
    return finish(prepared, [_denoised(prepared, 0.2, 1)], inpainter.bundle, [FlagBright()], started=0.0)


@pytest.mark.parametrize(("seam", "level"), [("off", 51), ("harmonic", 60), ("rendered", 60)])
def test_a_corrected_seam_ends_at_the_border_s_level_and_kept_pixels_stay(
    inpainter: Inpainter, seam: SeamMode, level: int
) -> None:
    result = _shifted(inpainter, seam)
    assert result.kept_pixels_identical
    assert np.unique(result.fills[0].picture.pixels[8:20, 8:20]) == [level]
    assert result.fills[0].metadata.record["request"]["seam"] == seam


@pytest.mark.parametrize(("seam", "matched"), [("harmonic", False), ("rendered", False), ("off", True)])
def test_colours_under_full_transparency_are_not_spread(
    inpainter: Inpainter, seam: SeamMode, matched: bool
) -> None:
    image = np.full((32, 32, 4), (60, 60, 60, 255), np.uint8)
    image[:8] = (255, 0, 255, 0)  # beside the hole, and nobody has seen it
    result = _shifted(inpainter, seam, image=image, match_colors=matched)
    assert np.unique(result.fills[0].picture.pixels[8:20, 8:20]) == [60]


@pytest.mark.parametrize("feather_px", [0, 2])
def test_around_what_was_painted_into_a_part_the_hole_holds_the_ground(
    inpainter: Inpainter, feather_px: int
) -> None:
    bundle = replace(inpainter.bundle, recommended=Recommended(context=0.2, removal="patchmatch"))
    mask = np.zeros((40, 48), np.bool_)
    mask[16:24, 4:44] = True
    image = np.where(mask[..., None], 200, np.full((40, 48, 3), 90)).astype(np.uint8)
    asked = InpaintRequest("a cat", image, mask.astype(np.uint8) * 255, seed=1).with_fields(
        seam="off", safety="off", feather_px=feather_px
    )
    opened = open_pictures(settle(asked, bundle, DEFAULT_LIMITS), DEFAULT_LIMITS)
    prepared = prepare(opened, bundle, since=time.monotonic())
    result = finish(prepared, [_denoised(prepared, 0.2, 1)], bundle, [], started=time.perf_counter())
    pixels = np.asarray(result.images[0])
    hole = prepared.place.hole
    assert result.kept_pixels_identical
    assert np.array_equal(pixels[~mask], image[~mask])
    assert (pixels[20, 24] == 51).all()
    if not feather_px:
        assert (pixels[hole] == 51).all()
        assert (pixels[mask & ~hole] == 90).all()
    assert np.array_equal(result.mask, mask)
