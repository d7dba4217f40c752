"""The way in: from a request to what the engine can plan, with everything settled that a request leaves open."""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import get_args

import torch

from retouch.advice import request_warnings
from retouch.engine.plan import Plan, too_late
from retouch.engine.samplers import resolve_sampler
from retouch.engine.text_stack import check_clip_skip
from retouch.errors import InvalidField
from retouch.ground import continued
from retouch.imaging.mask import PreparedMask
from retouch.imaging.picture import Picture
from retouch.imaging.report import MaskReport, report_mask
from retouch.masking import polarity_of
from retouch.models.bundle import ModelBundle, Recommended
from retouch.models.chunks import chunks_of
from retouch.opened import Opened
from retouch.place import Place
from retouch.placing import place_of
from retouch.prompts import Prompt
from retouch.request import (
    DEFAULT_CONTINUATION,
    DEFAULT_GUIDANCE_SCALE,
    DEFAULT_MASKED_CONTENT,
    DEFAULT_NUM_INFERENCE_STEPS,
    DEFAULT_SEAM,
    DEFAULT_STRENGTH,
    MAX_SEED,
    Continuation,
    InpaintRequest,
    Limits,
    MaskedContent,
    SeamMode,
    seeds_of,
    validate,
)
from retouch.variants import with_variant


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A request whose pictures are decoded and whose open fields are settled.

    Attributes:
        request: with all that it left open filled in.
        picture: the decoded image.
        mask: as it is composited, at the picture's size.
        alpha_is_mask: the mask was read from the picture's own transparency.
        place: what the model is given; for some models a part of a slender hole, the rest of which is filled.
        is_hole_hidden: nothing that the mask hides reaches the model, so that it cannot show in the result.
        plans: one for each variant, in the order of the seeds.
        mask_report: how the mask was read.
        warnings: what a person should know.
    """

    request: InpaintRequest
    picture: Picture
    mask: PreparedMask
    alpha_is_mask: bool
    place: Place
    is_hole_hidden: bool
    plans: tuple[Plan, ...]
    mask_report: MaskReport
    warnings: tuple[str, ...]


def settle(request: InpaintRequest, bundle: ModelBundle, limits: Limits) -> InpaintRequest:
    """Validate a request, and fill in what it leaves to the checkpoint or to chance.

    Raises:
        InvalidField: a field is out of range, the checkpoint's advice included, or contradicts the reference mode,
            or a prompt is longer than the limit.
    """
    validate(request, limits)
    advice = bundle.recommended
    strength, content = _strength_and_content(request, advice)
    request = replace(
        request,
        num_inference_steps=request.num_inference_steps
        or advice.num_inference_steps
        or DEFAULT_NUM_INFERENCE_STEPS,
        guidance_scale=_first(request.guidance_scale, advice.guidance_scale, DEFAULT_GUIDANCE_SCALE),
        scheduler=request.scheduler or advice.scheduler,
        strength=strength,
        masked_content=content,
        seam=request.seam or _seam_of(request, strength, advice),
        seed=secrets.randbelow(MAX_SEED + 1) if request.seed is None else request.seed,
    )
    validate(request, limits)  # what a checkpoint advises stands under the same limits
    request = replace(request, mask_polarity=polarity_of(request))
    if request.mask_image is None and request.mask_polarity == "transparent" and not request.reference:
        request = _without_unseen_colours(request)
    resolve_sampler(request.scheduler, bundle)  # an unknown name is an error before any picture is read
    _check_prompts(request, bundle, limits)
    return _in_reference_mode(request) if request.reference else request


def prepare(opened: Opened, bundle: ModelBundle, *, since: float) -> Prepared:
    """Crop and plan a settled request whose pictures are decoded.

    Args:
        since: when it came in, on the engine's clock; its deadline counts from there.
    Raises:
        BadInput: its fields cannot be met with these pictures.
        DeadlineExceeded: while the hole was filled.
    """
    request, picture, mask = opened.request, opened.picture, opened.mask
    deadline = None if request.deadline_s is None else since + request.deadline_s
    check = partial(_check_time, deadline)
    assert request.strength is not None
    asks_image = bundle.needs_image(request.strength)
    is_hole_hidden = not (request.asks_model and asks_image)
    place = place_of(opened, bundle, is_hole_hidden=is_hole_hidden, check=check)
    image = place.image(is_hole_hidden=is_hole_hidden)
    canvas_mask = place.region.apply_mask(place.hole)
    report = report_mask(mask, canvas_mask, factor=bundle.vae_factor if request.asks_model else 1)
    repaint = torch.from_numpy(canvas_mask).float()[None]
    assert request.seed is not None
    seeds = seeds_of(request.seed, request.num_images_per_prompt)
    images = _begun(request, place, image, seeds, check) if asks_image else [image] * len(seeds)
    return Prepared(
        request=request,
        picture=picture,
        mask=mask,
        alpha_is_mask=request.mask_image is None,
        place=place,
        is_hole_hidden=is_hole_hidden and not request.feather_px,
        plans=tuple(
            _plan(request, bundle, image, repaint, seed=seed, deadline=deadline)
            for image, seed in zip(images, seeds, strict=True)
        ),
        mask_report=report,
        warnings=(
            *opened.warnings,
            *report.warnings,
            *request_warnings(request, mask.pixels, bundle, hole=place.hole),
        ),
    )


def _strength_and_content(request: InpaintRequest, advice: Recommended) -> tuple[float, MaskedContent]:
    """Return both as they are meant; what a removal is done with is the checkpoint's advice."""
    strength, content = request.strength, request.masked_content
    is_removal = advice.is_removal(Prompt(request.prompt, request.prompt_syntax)) and not request.reference
    removal = advice.removal if is_removal else None
    if removal is not None and strength is None and content in {None, *get_args(Continuation)}:
        return 0.0, content or removal
    strength = DEFAULT_STRENGTH if strength is None else strength
    return strength, content or (DEFAULT_MASKED_CONTENT if strength else DEFAULT_CONTINUATION)


def _seam_of(request: InpaintRequest, strength: float, advice: Recommended) -> SeamMode:
    """Return the correction that suits what fills the hole."""
    if request.reference:
        return "off"
    return (advice.seam or DEFAULT_SEAM) if strength else "harmonic"


def _check_prompts(request: InpaintRequest, bundle: ModelBundle, limits: Limits) -> None:
    """Refuse what the text encoder cannot do, and prompts whose tokens would take all time and memory there is."""
    check_clip_skip(request.clip_skip, bundle)
    for name in ("prompt", "negative_prompt") if request.prompt_syntax != "plain" else ():
        chunks = chunks_of(Prompt(getattr(request, name), request.prompt_syntax), bundle.tokenizer)
        if len(chunks) > limits.prompt_chunks:
            room = len(chunks[0].ids) - 2
            raise InvalidField(
                name,
                f"takes {len(chunks)} chunks of {room} tokens, at most {limits.prompt_chunks} are allowed",
                hint="use fewer words, or fewer BREAKs",
            )


def _first(*values: float | None) -> float:
    return next(value for value in values if value is not None)


def _without_unseen_colours(request: InpaintRequest) -> InpaintRequest:
    """Let the hole start from what surrounds it: the colours under transparent pixels are nobody's picture."""
    return replace(request, masked_content="fill") if request.masked_content == "original" else request


def _in_reference_mode(request: InpaintRequest) -> InpaintRequest:
    if not request.asks_model:
        raise InvalidField("strength", "is 0, which has no counterpart in the reference mode")
    neutral = {"seam": "off", "prompt_syntax": "plain", "masked_content": "original"}
    for name in ("grow_px", "feather_px", "fill_holes", "match_colors", *neutral):
        if getattr(request, name) != neutral.get(name, 0):
            raise InvalidField(name, "has no counterpart in the reference mode", hint="leave it out, or reference")
    if request.region == "masked":
        raise InvalidField("region", "is 'masked', the reference mode sees the whole picture")
    return replace(request, region="whole", latent_mask="nearest")


def _begun(
    request: InpaintRequest,
    place: Place,
    image: torch.Tensor,
    seeds: Sequence[int],
    check: Callable[[], object],
) -> list[torch.Tensor]:
    """Return what each variant begins with: the canvas (3, h, w), its hole filled where that is asked for."""
    content = request.masked_content
    if content != "fill" and content != "patchmatch":  # noqa: PLR1714  # it narrows the type
        return [image] * len(seeds)
    begin = partial(continued, image, place.unknown(), content, check=check)
    # No seed changes colours that are spread: those are one canvas for all.
    return [begin(seed=seed) for seed in seeds] if content == "patchmatch" else [begin(seed=0)] * len(seeds)


def _check_time(deadline: float | None) -> None:
    if late := too_late(deadline, time.monotonic()):
        raise late


def _plan(
    request: InpaintRequest,
    bundle: ModelBundle,
    image: torch.Tensor,
    repaint: torch.Tensor,
    *,
    seed: int,
    deadline: float | None,
) -> Plan:
    assert request.num_inference_steps is not None
    assert request.guidance_scale is not None
    assert request.strength is not None
    content = request.masked_content
    return Plan(
        prompt=with_variant(request, bundle, seed),
        negative_prompt=request.negative_prompt,
        image=image,
        mask=repaint,
        num_inference_steps=request.num_inference_steps,
        guidance_scale=request.guidance_scale,
        strength=request.strength,
        seed=seed,
        scheduler=request.scheduler,
        latent_mask=request.latent_mask,
        masked_content=content if content == "noise" or content == "zeros" else "original",  # noqa: PLR1714
        prompt_syntax=request.prompt_syntax,
        clip_skip=request.clip_skip,
        deadline=deadline,
        reference=request.reference,
        batch_key=bundle.adapters,
    )
