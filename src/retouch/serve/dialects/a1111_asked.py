"""From the body of `POST /sdapi/v1/img2img` to a request, with the mask's polarity settled."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from retouch.errors import InvalidField
from retouch.imaging.decode import decode_picture
from retouch.imaging.picture import Picture
from retouch.request import InpaintRequest, Limits, MaskedContent, Polarity, SafetyPolicy
from retouch.serve.dialects.a1111_fields import BY_NAME, read_fields, without_effect
from retouch.serve.dialects.a1111_options import CLIP_LAYERS, Checkpoint, check_known
from retouch.serve.dialects.a1111_samplers import Choice, choose

_CONTENTS: tuple[MaskedContent, ...] = ("fill", "original", "noise", "zeros")
_RESIZE_MODES = 4
_ALPHA_MODES = ("RGBA", "RGBA;16", "P", "PA")
"""Modes whose alpha A1111 looks at; of grey with alpha it takes the grey."""
_OPAQUE_ABOVE = 128.5 / 255
_OVERRIDES = "override_settings"


@dataclass(frozen=True, slots=True)
class House:
    """What the server brings to every request."""

    checkpoint: Checkpoint
    limits: Limits
    safety: SafetyPolicy


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A request, and what the answer needs of the body.

    Attributes:
        fields: A1111's, with their defaults; pictures only where they are wanted back.
        size: width and height, where the body held one of them.
        choice: the sampler.
        warnings: what has no effect here, or another than in A1111.
    """

    request: InpaintRequest
    fields: Mapping[str, Any]
    size: tuple[int, int] | None
    choice: Choice
    warnings: tuple[str, ...]


def pictures_in(body: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the image and the mask as they were sent, of whatever type.

    Raises:
        InvalidField: there is not one of each.
    """
    images, mask = body.get("init_images"), body.get("mask")
    if not isinstance(images, list) or not images:
        raise InvalidField("init_images", "must be a list of one picture")
    if len(images) > 1:
        raise InvalidField("init_images", f"holds {len(images)} pictures", hint="send them one by one")
    if not mask:
        raise InvalidField("mask", "is missing", hint="this server repaints what a mask marks, and nothing else")
    return images[0], mask


def ask(body: Mapping[str, Any], image: bytes, mask: bytes, house: House) -> Asked:
    """Make a request of a body; decodes the mask, whose alpha decides how it is read.

    Args:
        image, mask: the files that `pictures_in` named.
    Raises:
        InvalidField: a field cannot be read, or asks for what is refused.
        ImageError: the mask cannot be decoded.
    """
    values, warnings = read_fields(body)
    _one_of("resize_mode", values["resize_mode"], _RESIZE_MODES)
    choice = choose(values["sampler_name"] or values["sampler_index"], values["scheduler"])
    inverted = _one_of("inpainting_mask_invert", values["inpainting_mask_invert"], 2) == 1
    drawn, polarity, threshold = _read_mask(decode_picture(mask, limits=house.limits), inverted=inverted)
    request = InpaintRequest(
        prompt=values["prompt"],
        negative_prompt=values["negative_prompt"],
        prompt_syntax="a1111",
        image=image,
        mask_image=drawn,
        mask_polarity=polarity,
        mask_threshold=threshold,
        num_inference_steps=values["steps"],
        guidance_scale=values["cfg_scale"],
        strength=values["denoising_strength"],
        seed=None if values["seed"] == -1 else values["seed"],
        num_images_per_prompt=_count(values, house.limits),
        scheduler=choice.name,
        masked_content=_CONTENTS[_one_of("inpainting_fill", values["inpainting_fill"], len(_CONTENTS))],
        safety=house.safety,
    )
    request, about_options = _overridden(_in_place(request, values), values[_OVERRIDES], house.checkpoint)
    warnings += [*_about(values, choice), *about_options]
    if not values["include_init_images"]:
        values |= {"init_images": None, "mask": None}
    size = (values["width"], values["height"]) if {"width", "height"} & body.keys() else None
    return Asked(request, values, size, choice, tuple(warnings))


def _read_mask(mask: Picture, *, inverted: bool) -> tuple[Picture, Polarity, float]:
    """Return a mask, how it is read, and from where on a sample counts.

    Where its alpha varies, A1111 takes what is opaque, else what is white; it inverts what came of that.
    """
    alpha = mask.alpha if mask.source_mode in _ALPHA_MODES else None
    if alpha is not None and not (alpha == mask.peak).all():
        return mask, *(("transparent", 1 - _OPAQUE_ABOVE) if inverted else ("opaque", _OPAQUE_ABOVE))
    return replace(mask, alpha=None), "black" if inverted else "white", 0.5


def _one_of(field: str, value: int, count: int) -> int:
    if not 0 <= value < count:
        raise InvalidField(field, f"is {value}, must be 0 to {count - 1}")
    return value


def _count(values: Mapping[str, Any], limits: Limits) -> int:
    for name in ("batch_size", "n_iter"):
        if values[name] < 1:
            raise InvalidField(name, f"is {values[name]}, must be 1 or more")
    count = int(values["batch_size"] * values["n_iter"])
    if count > limits.num_images_per_prompt:
        most = limits.num_images_per_prompt
        raise InvalidField("batch_size", f"times n_iter is {count}, at most {most} are allowed")
    return count


def _in_place(request: InpaintRequest, values: Mapping[str, Any]) -> InpaintRequest:
    """Set where the model looks, and how the fill meets the rest.

    In a crop A1111 blends across the edge of the mask: what of that lies inside is done. Over the whole picture it
    blends outside alone, which would change kept pixels.
    """
    if not values["inpaint_full_res"]:
        return replace(request, region="whole")
    return replace(
        request,
        region="masked",
        padding_px=values["inpaint_full_res_padding"],
        feather_px=_blur(values),
    )


def _blur(values: Mapping[str, Any]) -> int:
    """Return the width of the blend; `mask_blur` is the one that counts, as in A1111."""
    if values["mask_blur"] is not None:
        return int(values["mask_blur"])
    return max(int(values["mask_blur_x"]), int(values["mask_blur_y"]))


def _about(values: Mapping[str, Any], choice: Choice) -> Iterator[str]:
    """Yield what else than a field's own value decides."""
    if _blur(values) > 0:
        where = "blends inwards only" if values["inpaint_full_res"] else "has no effect over the whole picture"
        yield f"mask_blur: {where}, no kept pixel changes"
    if values["eta"] is not None and choice.eta not in (None, values["eta"]):
        yield f"eta: {BY_NAME['eta'].note}"
    if values["cfg_scale"] < 1:
        yield "cfg_scale: below 1 guidance is off, as at 1"


def _overridden(
    request: InpaintRequest, options: Mapping[str, Any], checkpoint: Checkpoint
) -> tuple[InpaintRequest, list[str]]:
    """Return the request with the one option that it may bring, and what a person should know of the others."""
    unknown = check_known(options, checkpoint, prefix=f"{_OVERRIDES}.")
    layers = options.get(CLIP_LAYERS)
    if layers is not None:
        if type(layers) is not int or layers < 1:
            raise InvalidField(f"{_OVERRIDES}.{CLIP_LAYERS}", "must be a whole number from 1")
        request = replace(request, clip_skip=layers - 1)
    return request, [f"{_OVERRIDES}: {without_effect(unknown)}"] if unknown else []
