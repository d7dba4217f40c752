"""The way out: from denoised canvases to pictures that were composited, measured and judged."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from retouch.engine.ticket import Denoised
from retouch.imaging.composite import composite
from retouch.imaging.feather import feather_warnings, feather_weights
from retouch.imaging.morphology import Box, Mask, bounding_box, crop, widen
from retouch.imaging.resample import Pixels
from retouch.models.bundle import ModelBundle
from retouch.place import Place
from retouch.prepare import Prepared
from retouch.record import SharedRecord, record_of
from retouch.result import Fill, InpaintResult
from retouch.safety.checkers import ImageChecker
from retouch.safety.judge import verdict
from retouch.safety.views import Exhibit
from retouch.variants import with_variant


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
        part=prepared.place.part(with_ring=prepared.request.match_colors),
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
        part: the box of the picture that was painted and is computed; in a large picture far less than the region.
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
            *self._painted(denoised),
            self.weights,
            alpha_is_mask=prepared.alpha_is_mask,
        )
        exhibit = Exhibit(composited.picture, prepared.mask.pixels)
        outcome, picture = verdict(exhibit, self.checkers, prepared.request.safety)
        is_replaced = picture is not composited.picture
        fill = Fill(
            picture=picture,
            seed=denoised.seed,
            spoken_prompt=with_variant(prepared.request, self.record.bundle, denoised.seed),
            nsfw_content_detected=outcome.nsfw_content_detected,
            safety=outcome.as_dict(),
            kept_pixels_identical=None if is_replaced else composited.kept_pixels_identical,
            metadata=record_of(self.record, seed=denoised.seed, rows_per_call=denoised.rows_per_call),
        )
        return fill, composited.warnings

    def _painted(self, denoised: Denoised) -> tuple[Pixels, Box]:
        """Return the fill of the whole hole, (H, W, 3) around [0, 1], and the box that it covers."""
        place, request = self.prepared.place, self.prepared.request
        painted = place.fill(
            denoised.image, self.part, seam=request.seam or "off", matches_colors=request.match_colors
        )
        if place.hole is self.prepared.mask.pixels:
            return painted, self.part
        return _on_ground(place, painted, self.part, mask=self.prepared.mask.pixels, feather_px=request.feather_px)


def _on_ground(place: Place, painted: Pixels, part: Box, *, mask: Mask, feather_px: int) -> tuple[Pixels, Box]:
    """Return what fills a mask of which the place's hole is a part: there what was painted, elsewhere the ground.

    Args:
        painted: (H, W, 3) of `part`, a box of the picture.
        feather_px: width of the rise from the ground to what was painted.
    """
    box, inner = bounding_box(mask), bounding_box(place.hole)
    assert box is not None
    assert inner is not None
    fill = replace(place.picture, pixels=crop(place.picture.pixels, box), alpha=None).to_unit()
    ground = crop(fill, _seen_from(box, inner))
    framed = widen(inner, 1, *mask.shape)  # a feather rises from the pixels beside a hole
    weights = feather_weights(crop(place.hole, framed), feather_px)
    weight = crop(weights, _seen_from(framed, inner))[..., None]
    ground += weight * (crop(painted, _seen_from(part, inner)) - ground)
    return fill, box


def _seen_from(outer: Box, inner: Box) -> Box:
    """Return a box of the picture relative to another one that holds it."""
    left, top = outer[:2]
    return inner[0] - left, inner[1] - top, inner[2] - left, inner[3] - top


def _slowest(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    return {name: max(one.get(name, 0.0), other.get(name, 0.0)) for name in {**one, **other}}
