"""From the body of `POST /sdapi/v1/img2img` to a request, with the mask's polarity settled."""

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from retouch.errors import InvalidField
from retouch.imaging.decode import decode_picture
from retouch.imaging.picture import Picture
from retouch.request import InpaintRequest, Limits, MaskedContent, Polarity, SafetyPolicy
from retouch.serve.dialects.a1111_fields import BY_NAME, read_fields
from retouch.serve.dialects.a1111_options import CLIP_LAYERS, Checkpoint, check_known
from retouch.serve.dialects.a1111_samplers import Choice, choose

_CONTENTS: tuple[MaskedContent, ...] = ("fill", "original", "noise", "zeros")
_RESIZE_MODES = 4
_ALPHA_MODES = ("RGBA", "RGBA;16", "P", "PA")
"""Modes whose alpha A1111 reads; of grey with alpha it sees the grey alone."""
_FROM_ALPHA = 128.5 / 255
"""It counts an alpha of more than 128 as opaque."""


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
        fields: A1111's, with their defaults, for the echo; without pictures unless they are wanted back.
        sent: the names that the body held.
        choice: the sampler.
        warnings: what has no effect, or another than there.
    """

    request: InpaintRequest
    fields: Mapping[str, Any]
    sent: frozenset[str]
    choice: Choice
    warnings: tuple[str, ...]


def ask(body: Mapping[str, Any], pictures: "Pictures", house: House) -> Asked:
    """Read a body.

    Args:
        pictures: the encoded image and mask of it.
    Raises:
        InvalidField: a field cannot be read, or asks for what is refused.
        ImageError: the mask cannot be decoded.
    """
    fields, warnings = read_fields(body)
    choice = choose(fields["sampler_name"] or fields["sampler_index"], fields["scheduler"])
    request = InpaintRequest(
        prompt=fields["prompt"],
        negative_prompt=fields["negative_prompt"],
        image=pictures.image,
        num_inference_steps=fields["steps"],
        guidance_scale=fields["cfg_scale"],
        strength=fields["denoising_strength"],
        seed=None if fields["seed"] == -1 else fields["seed"],
        num_images_per_prompt=_count(fields, house.limits),
        scheduler=choice.name,
        safety=house.safety,
    )
    request = _masked(_placed(request, fields), pictures.mask, fields, house.limits)
    warnings += _about(fields, body, choice)
    warnings += _overridden(fields["override_settings"], house.checkpoint)
    if not fields["include_init_images"]:
        fields |= {"init_images": None, "mask": None}
    return Asked(request, fields, frozenset(body), choice, tuple(warnings))
