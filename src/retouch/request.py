"""What a caller may ask: the fields of a request, their defaults and limits (the only home of defaults)."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from retouch.equivalents import equivalent
from retouch.errors import InvalidField
from retouch.imaging import choices
from retouch.imaging.limits import DecodeLimits
from retouch.prompts import PromptSyntax, check_prompt

if TYPE_CHECKING:
    from retouch.imaging import decode

    ImageLike = decode.ImageLike

Polarity = choices.Polarity
RegionMode = choices.RegionMode
LatentMask = choices.LatentMask
SeamMode = choices.SeamMode
Continuation = choices.Continuation
MaskedContent = Literal["original", Continuation, "noise", "zeros"]
SafetyPolicy = Literal["black", "blur", "error", "off"]

MAX_SEED = 2**32 - 1
DEFAULT_NUM_INFERENCE_STEPS = 30
DEFAULT_GUIDANCE_SCALE = 7.5
DEFAULT_SEAM: SeamMode = "rendered"
DEFAULT_STRENGTH = 1.0
DEFAULT_MASKED_CONTENT: MaskedContent = "original"
DEFAULT_CONTINUATION: Continuation = "patchmatch"
_PICTURES = frozenset({"image", "mask_image"})
_MOST_LAYERS = 100
"""More than any text encoder has; how many one has, its checkpoint says."""


@dataclass(frozen=True, slots=True)
class Limits(DecodeLimits):
    """What a request may be at most; deployers widen or narrow it. Those of pictures are `DecodeLimits`'.

    Attributes:
        num_inference_steps: steps of one picture.
        num_images_per_prompt: pictures of one request.
        prompt_chars: characters of the prompt, and of the negative prompt.
        prompt_chunks: chunks of tokens of each (75 in CLIP); 2,000 characters of English fill 6.
        guidance_scale: the largest guidance.
    """

    num_inference_steps: int = 150
    num_images_per_prompt: int = 16
    prompt_chars: int = 2_000
    prompt_chunks: int = 8
    guidance_scale: float = 30.0


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True, eq=False)
class InpaintRequest:
    """One picture to repaint in one place, in any number of variants.

    Attributes:
        prompt: what the masked part shall show.
        image: a `Picture`, Pillow image, array, `Path` or encoded bytes; a text is never opened as a file.
        mask_image: the same kinds; None takes the transparency of `image` for the mask.
        negative_prompt: what it shall not show.
        prompt_syntax: how both prompts are read. `plain` is the text as it stands, cut off where the text encoder
            ends; `a1111` has weights and BREAK, and goes on beyond that (`retouch.prompts`).
        clip_skip: last layers of the text encoder that are left out, counted as in diffusers: A1111's less one.
        num_inference_steps: denoising steps, 1..`Limits.num_inference_steps`; None is the checkpoint's own
            recommendation, else `DEFAULT_NUM_INFERENCE_STEPS`.
        guidance_scale: classifier-free guidance, 0..`Limits.guidance_scale`; at 1 and below it is off. None is
            the checkpoint's own recommendation, else `DEFAULT_GUIDANCE_SCALE`.
        strength: [0, 1]; 1 forgets what the hole held, 0 asks no model and leaves what `masked_content` makes of
            the hole's surroundings. None is 1, unless the prompt asks for nothing and the checkpoint recommends 0
            then (`masked_content` may still say how).
        seed: 0..2**32 - 1; None draws one, which the result names.
        num_images_per_prompt: variants, with the seeds `seed`, `seed + 1`, ...
        scheduler: a diffusers class name or a name from A1111; None is the checkpoint's own.
        mask_polarity: which pixels of the mask are repainted.
        mask_threshold: (0, 1]; at or above it a mask sample counts as marked.
        grow_px: pixels by which the mask grows on all sides.
        feather_px: width of the blend from kept to repainted, inwards only: kept pixels never change.
        fill_holes: repaint what the mask encloses, too.
        region: `whole` picture, a crop around the `masked` part, or `auto`.
        padding_px: context around the mask in region `masked`, in source pixels; None picks it from its size.
        latent_mask: `cover` repaints a latent cell if any of its pixels is marked, `nearest` if its first is.
        masked_content: what the hole holds before noise is added: what was there, the colours around it (`fill`),
            the textures and lines around it (`patchmatch`), or noise or nothing instead of latents. None is
            `original`, and `patchmatch` at strength 0. Where the picture's own transparency is the mask,
            `original` is taken for `fill`: nobody has seen the colours under it (not so with `reference`).
        match_colors: shift the fill's colours so that it meets the kept pixels around it.
        seam: `harmonic` spreads the step between kept pixels and the fill beside them inward, `rendered` what the
            model made of the kept pixels, so that no border shows; `off` leaves the fill as it is. None is the
            checkpoint's own recommendation, else `DEFAULT_SEAM`; the reference mode never corrects.
        safety: what happens to a picture that the checker refuses.
        reference: the numbers of diffusers' own pipeline (see the design of reference mode in the docs).
        deadline_s: seconds from submission after which the work is given up; None waits for ever.
    """

    prompt: str
    image: "ImageLike" = field(repr=False)
    mask_image: "ImageLike | None" = field(default=None, repr=False)
    negative_prompt: str = ""
    prompt_syntax: PromptSyntax = "plain"
    clip_skip: int = 0
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    strength: float | None = None
    seed: int | None = None
    num_images_per_prompt: int = 1
    scheduler: str | None = None
    mask_polarity: Polarity = "white"
    mask_threshold: float = 0.5
    grow_px: int = 0
    feather_px: int = 0
    fill_holes: bool = False
    region: RegionMode = "auto"
    padding_px: int | None = None
    latent_mask: LatentMask = "cover"
    masked_content: MaskedContent | None = None
    match_colors: bool = False
    seam: SeamMode | None = None
    safety: SafetyPolicy = "black"
    reference: bool = False
    deadline_s: float | None = None

    def __post_init__(self) -> None:
        # A scalar of NumPy is the number it holds; records and answers, which are JSON, take no other.
        for name in (one.name for one in fields(self) if one.name not in _PICTURES):
            if getattr(value := getattr(self, name), "shape", None) == ():
                object.__setattr__(self, name, value.item())

    @property
    def asks_model(self) -> bool:
        """Whether a model paints the hole; else it is filled out of its surroundings alone."""
        return self.strength != 0

    def with_fields(self, **changes: Any) -> Self:
        """Return a copy with some fields replaced; an unknown name is an error, which says what it is called here.

        Raises:
            InvalidField: a name is not a field of a request.
        """
        known = {one.name for one in fields(self)}
        for name in changes:
            if name not in known:
                hints = [equivalent(name, known), f"known: {', '.join(sorted(known))}"]
                raise InvalidField(name, "is not a field of a request", hint="; ".join(filter(None, hints)))
        return replace(self, **changes)


def validate(request: InpaintRequest, limits: Limits = DEFAULT_LIMITS) -> None:
    """Check every field of a request that can be judged without its pictures or a model.

    Raises:
        InvalidField: a field is outside its range or of another type; the message names both.
    """
    for name in ("prompt", "negative_prompt"):
        _check_text(name, getattr(request, name), limits.prompt_chars)
    _check_if_given(request, "num_inference_steps", _check_int, 1, limits.num_inference_steps)
    _check_if_given(request, "guidance_scale", _check_float, 0.0, limits.guidance_scale)
    _check_if_given(request, "strength", _check_float, 0.0, 1.0)
    _check_if_given(request, "seed", _check_int, 0, MAX_SEED)
    _check_int("num_images_per_prompt", request.num_images_per_prompt, 1, limits.num_images_per_prompt)
    _check_float("mask_threshold", request.mask_threshold, 0.0, 1.0, above=True)
    _check_int("grow_px", request.grow_px, 0, limits.image_side)
    _check_int("feather_px", request.feather_px, 0, limits.image_side)
    _check_if_given(request, "padding_px", _check_int, 0, limits.image_side)
    _check_if_given(request, "deadline_s", partial(_check_float, above=True), 0.0, math.inf)
    _check_if_given(request, "seam", _check_choice, get_args(SeamMode))
    _check_if_given(request, "masked_content", _check_choice, get_args(MaskedContent))
    if not request.asks_model and request.masked_content not in {None, *get_args(Continuation)}:
        raise InvalidField(
            "strength",
            f"is 0, which leaves the hole as it is with masked_content={request.masked_content}",
            hint=f"masked_content: {' or '.join(get_args(Continuation))}",
        )
    for name, kind in _CHOICES.items():
        _check_choice(name, getattr(request, name), get_args(kind))
    for name in ("prompt", "negative_prompt"):
        check_prompt(getattr(request, name), request.prompt_syntax, field=name)
    _check_int("clip_skip", request.clip_skip, 0, _MOST_LAYERS)
    for name in ("fill_holes", "match_colors", "reference"):
        if not isinstance(getattr(request, name), bool):
            raise InvalidField(name, f"must be true or false, not {getattr(request, name)!r}")
    _check_if_given(request, "scheduler", _check_text, 100)


_CHOICES: Mapping[str, Any] = {
    "prompt_syntax": PromptSyntax,
    "mask_polarity": Polarity,
    "region": RegionMode,
    "latent_mask": LatentMask,
    "safety": SafetyPolicy,
}


def seeds_of(seed: int, count: int) -> tuple[int, ...]:
    """Return the seeds of a request's variants: consecutive, wrapping at 2**32."""
    return tuple((seed + k) % (MAX_SEED + 1) for k in range(count))


def _check_if_given(request: InpaintRequest, name: str, check: Callable[..., None], *bounds: Any) -> None:
    if (value := getattr(request, name)) is not None:
        check(name, value, *bounds)


def _check_text(name: str, value: object, limit: int) -> None:
    if not isinstance(value, str):
        raise InvalidField(name, f"must be text, not {type(value).__name__}")
    if len(value) > limit:
        raise InvalidField(name, f"has {len(value)} characters, at most {limit} are allowed")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        # Half of a surrogate pair, or a byte of a command line that is no UTF-8: no tokenizer or file takes it.
        raise InvalidField(name, "is not valid Unicode text", hint="send it as UTF-8") from error


def _check_int(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidField(name, f"must be a whole number, not {_told(value)}")
    if not low <= value <= high:
        raise InvalidField(name, f"is {_told(value)}, must be {low} to {high}")


def _check_float(name: str, value: object, low: float, high: float, *, above: bool = False) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        raise InvalidField(name, f"must be a finite number, not {_told(value)}")
    if not low <= value <= high or (above and value == low):
        raise InvalidField(name, f"is {_told(value)}, must be {'above' if above else 'from'} {low} to {high}")


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False


def _told(value: object) -> str:
    """Return a value for a message; Python itself refuses to write whole numbers of thousands of digits."""
    if isinstance(value, int) and value.bit_length() > 64:
        return f"a whole number of {value.bit_length()} bits"
    return repr(value)


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InvalidField(name, f"is {value!r}", hint=f"one of: {', '.join(choices)}")
