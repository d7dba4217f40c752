"""The way out: from denoised canvases to pictures that were composited, measured and judged."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from retouch.engine.ticket import Denoised
from retouch.imaging.colors import RING_PX, match_colors
from retouch.imaging.composite import composite
from retouch.imaging.feather import feather_warnings, feather_weights
from retouch.imaging.morphology import Box, Mask, bounding_box, crop
from retouch.imaging.resample import Pixels
from retouch.imaging.seam import correct_seam
from retouch.models.bundle import ModelBundle
from retouch.prepare import Prepared
from retouch.record import SharedRecord, record_of
from retouch.result import Fill, InpaintResult
from retouch.safety.checkers import ImageChecker
from retouch.safety.judge import verdict
from retouch.safety.views import Exhibit

_BESIDE_PX = 1
"""Around the mask, for the correction of its seam."""


def finish(
    prepared: Prepared,
    denoised: Iterable[Denoised],
    bundle: ModelBundle,
    checkers: Sequence[ImageChecker],
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
    job = _Finish(
        prepared=prepared,
        weights=feather_weights(prepared.mask.pixels, prepared.request.feather_px),
        part=_looked_at(prepared),
        record=SharedRecord.of(prepared, bundle),
        checkers=checkers,
    )
    warnings = dict.fromkeys((*prepared.warnings, *feather_warnings(job.weights, prepared.request.feather_px)))
    timings: dict[str, float] = {}
    fills = []
    since = time.perf_counter()
    for one in denoised:
        fill, notes = job.fill(one)
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


@dataclass(frozen=True, slots=True, eq=False)
class _Finish:
    """What all variants of a request share on their way out.

    Attributes:
        weights: (H, W) of the picture's size, 0 on kept pixels.
        part: the box of the picture that is computed; in a large picture far less than the region.
    """

    prepared: Prepared
    weights: Pixels
    part: Box
    record: SharedRecord
    checkers: Sequence[ImageChecker]

    def fill(self, denoised: Denoised) -> tuple[Fill, tuple[str, ...]]:
        """Return one variant's picture, and what a person should know of it."""
        prepared = self.prepared
        composited = composite(
            prepared.picture,
            self._painted(denoised),
            self.part,
            self.weights,
            alpha_is_mask=prepared.alpha_is_mask,
        )
        exhibit = Exhibit(composited.picture, prepared.mask.pixels)
        outcome, picture = verdict(exhibit, self.checkers, prepared.request.safety)
        is_replaced = picture is not composited.picture
        fill = Fill(
            picture=picture,
            seed=denoised.seed,
            nsfw_content_detected=outcome.nsfw_content_detected,
            safety=outcome.as_dict(),
            kept_pixels_identical=None if is_replaced else composited.kept_pixels_identical,
            metadata=record_of(self.record, seed=denoised.seed, rows_per_call=denoised.rows_per_call),
        )
        return fill, composited.warnings

    def _painted(self, denoised: Denoised) -> Pixels:
        """Return the fill of `part`, (H, W, 3) in [0, 1]."""
        prepared = self.prepared
        canvas = np.ascontiguousarray(denoised.image.permute(1, 2, 0).numpy())
        painted = prepared.region.undo(canvas, self.part)
        seam = prepared.request.seam or "off"
        if seam == "off" and not prepared.request.match_colors:
            return painted
        shown = replace(prepared.picture, pixels=crop(prepared.picture.pixels, self.part), alpha=None).to_unit()
        hole, known = crop(prepared.mask.pixels, self.part), self._known()
        if prepared.request.match_colors:
            painted = match_colors(painted, shown, hole, known=known)
        return painted if seam == "off" else correct_seam(painted, shown, hole, known & ~hole, mode=seam)

    def _known(self) -> Mask:
        """Mark what anybody has seen of `part`: colours under full transparency are nobody's picture."""
        alpha = self.prepared.picture.alpha
        if alpha is None:
            return np.ones_like(crop(self.prepared.mask.pixels, self.part))
        return crop(alpha, self.part) > 0


def _looked_at(prepared: Prepared) -> Box:
    """Return the box of the mask inside the region, with the kept pixels that the fill is matched to."""
    left, top, right, bottom = prepared.region.box
    marked = bounding_box(prepared.mask.pixels)
    if marked is None:
        return left, top, right, bottom
    margin = RING_PX if prepared.request.match_colors else _BESIDE_PX
    return (
        max(left, marked[0] - margin),
        max(top, marked[1] - margin),
        min(right, marked[2] + margin),
        min(bottom, marked[3] + margin),
    )


def _slowest(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    return {name: max(one.get(name, 0.0), other.get(name, 0.0)) for name in {**one, **other}}
