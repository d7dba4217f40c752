"""A `ModelBundle` around the components of a diffusers pipeline that is already in memory."""

from dataclasses import replace
from typing import Any

import torch

from retouch.errors import ModelUnsupported
from retouch.models.assemble import assemble
from retouch.models.bundle import ModelBundle
from retouch.models.components import Components
from retouch.models.devices import Placement
from retouch.models.hashing import hash_tensors
from retouch.models.schemas import SCHEMAS

_NEEDED = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
# `image_encoder` only serves an IP-Adapter, which shows in the UNet.
_TAKEN = frozenset((*_NEEDED, "safety_checker", "feature_extractor", "image_encoder"))


def from_pipe(pipe: Any) -> ModelBundle:
    """Take over a Stable Diffusion pipeline's components where they are, in their precision.

    The modules are shared with the pipeline, not copied: they are set to evaluation, freed of gradients and laid
    out channels-last, which changes no result. The scheduler's config is the part that the pipeline's maker
    gave; what diffusers added as defaults is left out, but for the reference mode, which runs it as it is.

    Raises:
        ModelUnsupported: a component is missing or of another family, or the pipeline is conditioned on more.
    """
    parts: dict[str, Any] = {name: getattr(pipe, name, None) for name in _NEEDED}
    missing = [name for name, part in parts.items() if part is None]
    if missing:
        raise ModelUnsupported(
            f"{type(pipe).__name__} has no {', '.join(missing)}",
            hint="give a Stable Diffusion 1.x or 2.x pipeline",
        )
    for name, families in (("unet", ("UNet2DConditionModel",)), ("vae", tuple(SCHEMAS["vae"]))):
        if not any(base.__name__ in families for base in type(parts[name]).__mro__):
            raise ModelUnsupported(
                f"{name} is a {type(parts[name]).__name__}", hint=f"expected {' or '.join(families)}"
            )
    _refuse_conditioning(pipe)
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
    bundle = assemble(components, placement, name=type(pipe).__name__, path=None)
    return replace(bundle, scheduler_as_is=_whole_config(parts["scheduler"]))


def _refuse_conditioning(pipe: Any) -> None:
    """Refuse a pipeline of which something would be left out that shows in its pictures."""
    extra = [name for name, part in getattr(pipe, "components", {}).items() if part is not None]
    dropped = [f"its {name}" for name in extra if name not in _TAKEN]
    if getattr(pipe.unet, "encoder_hid_proj", None) is not None:
        dropped.append("its IP-Adapter or image projection")
    if str(getattr(pipe.unet.config, "attention_type", "default")).startswith("gated"):
        dropped.append("the boxes of its GLIGEN layers")
    if hasattr(type(pipe), "do_perturbed_attention_guidance"):
        dropped.append("its perturbed-attention guidance")
    if dropped:
        raise ModelUnsupported(
            f"{type(pipe).__name__} would lose {', '.join(dropped)}: retouch conditions on text, picture and mask",
            hint="make a StableDiffusionInpaintPipeline of the components that shall be used, and unload adapters",
        )


def _whole_config(scheduler: Any) -> dict[str, Any]:
    return {**scheduler.config, "_class_name": type(scheduler).__name__}


def _original_config(scheduler: Any) -> dict[str, Any]:
    config = _whole_config(scheduler)
    # diffusers lists here which values it filled in itself.
    filled_in = set(config.pop("_use_default_values", ()))
    return {key: value for key, value in config.items() if key not in filled_in}
