"""The way out: from denoised canvases to pictures that were composited, measured and judged."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from retouch.engine.ticket import Denoised
from retouch.imaging.colors import match_colors
from retouch.imaging.composite import composite
from retouch.imaging.feather import feather_weights
from retouch.imaging.morphology import crop
from retouch.imaging.resample import Pixels
from retouch.models.bundle import ModelBundle
from retouch.prepare import Prepared
from retouch.record import record_of
from retouch.result import Fill, InpaintResult
from retouch.safety.checkers import ImageChecker
from retouch.safety.judge import verdict


def finish(
    prepared: Prepared,
    denoised: Iterable[Denoised],
    bundle: ModelBundle,
    checker: ImageChecker,
    *,
    started: float,
) -> InpaintResult:
    """Composite, measure and judge every variant; runs on the caller's thread, never on the engine's.

    Args:
        started: `time.perf_counter()` at the request's start.
    Raises:
        Blocked: a picture was refused and the policy is `error`.
        NonFinite: the decoder produced values that are no numbers.
    """
    weights = feather_weights(prepared.mask.pixels, prepared.request.feather_px)
    warnings = dict.fromkeys(prepared.warnings)
    timings: dict[str, float] = {}
    fills = []
    since = time.perf_counter()
    for one in denoised:
        fill, notes = _fill(prepared, one, weights, bundle, checker)
        fills.append(fill)
        warnings.update(dict.fromkeys(notes))
        timings = _slowest(timings, one.timings_s)
    now = time.perf_counter()
    return InpaintResult(
        request=prepared.request,
        fills=tuple(fills),
        original=prepared.picture,
        mask=prepared.mask.pixels,
        mask_report=prepared.mask_report,
        warnings=tuple(warnings),
        timings_s={**timings, "finish": now - since, "total": now - started},
    )


def _fill(
    prepared: Prepared, denoised: Denoised, weights: Pixels, bundle: ModelBundle, checker: ImageChecker
) -> tuple[Fill, tuple[str, ...]]:
    region, request = prepared.region, prepared.request
    painted = region.undo(np.ascontiguousarray(denoised.image.permute(1, 2, 0).numpy()))
    if request.match_colors:
        shown = replace(prepared.picture, pixels=crop(prepared.picture.pixels, region.box), alpha=None)
        original = shown.to_unit()
        painted = match_colors(painted, original, crop(prepared.mask.pixels, region.box))
    composited = composite(prepared.picture, painted, region, weights, alpha_is_mask=prepared.alpha_is_mask)
    outcome, picture = verdict(composited.picture, checker, request.safety, focus=prepared.mask_report.box)
    is_replaced = picture is not composited.picture
    fill = Fill(
        picture=picture,
        seed=denoised.seed,
        nsfw_content_detected=outcome.nsfw_content_detected,
        safety=outcome.as_dict(),
        kept_pixels_identical=None if is_replaced else composited.kept_pixels_identical,
        metadata=record_of(prepared, bundle, seed=denoised.seed, rows_per_call=denoised.rows_per_call),
    )
    return fill, composited.warnings


def _slowest(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    return {name: max(one.get(name, 0.0), other.get(name, 0.0)) for name in {**one, **other}}
