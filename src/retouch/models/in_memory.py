"""A `ModelBundle` around the components of a diffusers pipeline that is already in memory."""

from typing import Any

import torch

from retouch.errors import ModelUnsupported
from retouch.models.assemble import assemble
from retouch.models.bundle import ModelBundle
from retouch.models.components import Components
from retouch.models.devices import Placement
from retouch.models.hashing import hash_tensors

_NEEDED = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")


def from_pipe(pipe: Any) -> ModelBundle:
    """Take over a Stable Diffusion pipeline's components where they are, in their precision.

    The modules are shared with the pipeline, not copied: they are set to evaluation, freed of gradients and laid
    out channels-last, which changes no result. The scheduler's config is the part that the pipeline's maker
    gave; what diffusers added as defaults is left out.

    Raises:
        ModelUnsupported: a component is missing or of another family.
    """
    parts: dict[str, Any] = {name: getattr(pipe, name, None) for name in _NEEDED}
    missing = [name for name, part in parts.items() if part is None]
    if missing:
        raise ModelUnsupported(
            f"{type(pipe).__name__} has no {', '.join(missing)}",
            hint="give a Stable Diffusion 1.x or 2.x pipeline",
        )
    for name, family in (("unet", "UNet2DConditionModel"), ("vae", "AutoencoderKL")):
        if not hasattr(parts[name], "config"):
            raise ModelUnsupported(f"{name} is a {type(parts[name]).__name__}", hint=f"expected {family}")
    unet = next(parts["unet"].parameters())
    if unet.device.type == "meta":
        raise ModelUnsupported("the pipeline's weights are offloaded", hint="call it before enabling offload")
    tensors: dict[str, torch.Tensor] = {
        f"{name}.{key}": tensor
        for name in ("unet", "vae", "text_encoder")
        for key, tensor in parts[name].state_dict().items()
    }
    components = Components(
        unet=parts["unet"],
        vae=parts["vae"],
        text_encoder=parts["text_encoder"],
        tokenizer=parts["tokenizer"],
        scheduler_config=_original_config(parts["scheduler"]),
        content_hash=hash_tensors(tensors),
        safety_checker=getattr(pipe, "safety_checker", None),
        feature_extractor=getattr(pipe, "feature_extractor", None),
    )
    placement = Placement(unet.device, unet.dtype, next(parts["vae"].parameters()).dtype)
    return assemble(components, placement, name=type(pipe).__name__, path=None)


def _original_config(scheduler: Any) -> dict[str, Any]:
    config = dict(scheduler.config)
    # diffusers lists here which values it filled in itself.
    filled_in = set(config.pop("_use_default_values", ()))
    kept = {key: value for key, value in config.items() if key not in filled_in}
    return {**kept, "_class_name": type(scheduler).__name__}
