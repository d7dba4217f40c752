"""From denoised canvases to a result: composited, measured, judged, each variant for itself."""

import time
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from retouch.engine.ticket import Denoised
from retouch.errors import NonFinite
from retouch.finish import finish
from retouch.inpainter import Inpainter
from retouch.prepare import Prepared, prepare, settle
from retouch.request import DEFAULT_LIMITS, InpaintRequest


class FlagBright:
    """A checker that refuses what is brighter than mid-grey."""

    name, version, threshold, near = "test", "1", 0.5, 0.4

    def scores(self, views: Sequence[NDArray[np.uint8]]) -> list[float]:
        return [float(view.mean() / 255) for view in views]


@pytest.fixture
def prepared(inpainter: Inpainter) -> Prepared:
    image = np.full((32, 32, 3), 40, np.uint8)
    request = InpaintRequest("a cat", image, np.full((32, 32), 255, np.uint8), seed=1)
    return prepare(
        settle(request, inpainter.bundle, DEFAULT_LIMITS), inpainter.bundle, DEFAULT_LIMITS, clock=time.monotonic
    )


def _denoised(prepared: Prepared, level: float, seed: int, queued: float = 0.0) -> Denoised:
    height, width = prepared.region.canvas
    return Denoised(torch.full((3, height, width), level), torch.zeros(4, 8, 8), seed, 1, 2, {"queued": queued})


def test_each_variant_is_judged_for_itself(prepared: Prepared, inpainter: Inpainter) -> None:
    denoised = [_denoised(prepared, 0.2, 1), _denoised(prepared, 0.9, 2)]
    result = finish(prepared, denoised, inpainter.bundle, FlagBright(), started=time.perf_counter())
    assert result.nsfw_content_detected == [False, True]
    assert np.asarray(result.images[0]).max() == 51
    assert np.asarray(result.images[1]).max() == 0
    assert [fill.kept_pixels_identical for fill in result.fills] == [True, None]


def test_timings_are_those_of_the_slowest_variant(prepared: Prepared, inpainter: Inpainter) -> None:
    denoised = [_denoised(prepared, 0.2, 1, queued=3.0), _denoised(prepared, 0.2, 2, queued=1.0)]
    result = finish(prepared, denoised, inpainter.bundle, FlagBright(), started=time.perf_counter())
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
            FlagBright(),
            started=time.perf_counter(),
        )
