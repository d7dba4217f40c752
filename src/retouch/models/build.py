"""Models from a config and weights at hand, compared with each other before anything is allocated for them.

Neither diffusers' nor transformers' `from_pretrained` is asked: they choose files by rules of their own (an index
of shards before a single file, adapters beside the weights), and follow what a config says beyond the architecture
(quantisation, attention kernels from the hub). Here a model is its class, the values that a schema knows, and the
tensors that were checked and hashed.
"""

import re
import reprlib
from collections.abc import Mapping
from typing import Any

import torch

from retouch.errors import ModelError, ModelUnsafe, ModelUnsupported
from retouch.models.guarded import guarded
from retouch.models.schemas import check_config, class_of

# Files of CLIP hold more at times: positions, the last layer of Stable Diffusion 2's encoder, which is not used.
_WHOLE = ("unet", "vae")
_HINT = "config and weights are of different models, or a download broke off"
_WIDTHS = ("block_out_channels", "up_block_out_channels", "decoder_block_out_channels")
_DEPTHS = (
    *("layers_per_block", "transformer_layers_per_block", "num_hidden_layers"),
    *("layers_per_up_block", "num_decoder_blocks"),
)
# Attention in VAEs had other names in older diffusers, and has in the published Stable Diffusion 1.5.
_FORMER_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
_FORMER = re.compile(r"(\.attentions\.\d+\.)(query|key|value|proj_attn)\.")


def build(component: str, config: Mapping[str, Any], weights: Mapping[str, torch.Tensor]) -> Any:
    """Return a component in float32 and in evaluation mode, with every weight that it has.

    Args:
        component: `unet`, `vae`, `text_encoder` or `safety_checker`.
        config: as it stands in the component's `config.json`.
        weights: name to tensor; float32 ones are taken as they are, views of mapped files included.
    Raises:
        ModelUnsafe, ModelUnsupported: the config is beyond its schema, or claims more than the weights hold.
        ModelError: weights are missing, superfluous or of other shapes.
    """
    _check_depth(component, check_config(component, config), len(weights))
    model = outline(component, config)
    with guarded(f"{component} cannot be loaded"):
        model.load_state_dict(_fitting(component, model, weights), assign=True)
        _remake_positions(component, model)
    return model.eval()


def outline(component: str, config: Mapping[str, Any]) -> Any:
    """Return a component without weights, whose config can be asked.

    Raises:
        ModelUnsafe, ModelUnsupported: the config is beyond its schema.
    """
    with guarded(f"{component}/config.json describes no model"), torch.device("meta"):
        return _outline(class_of(component, config), check_config(component, config))


def _check_depth(component: str, values: Mapping[str, Any], tensors: int) -> None:
    """Every layer has weights: an outline of more layers than there are tensors would only take memory."""
    layers = max(len(values.get(key, ())) for key in _WIDTHS)
    for holder in (values, values.get("vision_config", {})):
        for key in _DEPTHS:
            depth = holder.get(key, 1)
            layers = max(layers, 1) * (max(depth) if isinstance(depth, list) else depth)
    if layers > tensors:
        raise ModelUnsafe(
            f"{component}/config.json claims {layers} layers, the file holds {tensors} tensors", hint=_HINT
        )


def _outline(name: str, values: dict[str, Any]) -> Any:
    if name == "CLIPTextModel":
        from transformers import CLIPTextConfig, CLIPTextModel

        return CLIPTextModel(CLIPTextConfig(**values))
    if name == "StableDiffusionSafetyChecker":
        from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
        from transformers import CLIPConfig

        return StableDiffusionSafetyChecker(CLIPConfig(**values))
    import diffusers

    return getattr(diffusers, name)(**values)


def _fitting(component: str, model: Any, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights under the model's own names, in float32."""
    expected = model.state_dict()
    names = {_canonical(name): name for name in expected}
    found: dict[str, torch.Tensor] = {}
    for given, tensor in weights.items():
        name = names.get(_canonical(given))
        if name in found:
            raise ModelUnsafe(f"{component} holds {name} twice, under two names")
        if name is not None:
            found[name] = tensor
        elif component in _WHOLE:
            # A config of fewer layers would make another model of the same weights.
            raise ModelError(
                f"{component} does not fit its config, which knows no {reprlib.repr(given)}", hint=_HINT
            )
    missing = [name for name in expected if name not in found]
    if missing:
        reason = f"{len(missing)} weights are missing, such as {missing[0]}"
        raise ModelError(f"{component} is not whole: {reason}", hint=_HINT)
    for name, tensor in found.items():
        if tensor.shape != expected[name].shape:
            stored, claimed = tuple(tensor.shape), tuple(expected[name].shape)
            raise ModelError(f"{component} does not fit its config: {name} is {stored}, not {claimed}", hint=_HINT)
        if not tensor.is_floating_point():
            raise ModelUnsupported(f"{component}: {name} is of {tensor.dtype}", hint="use the plain weights")
    return {name: tensor.float() for name, tensor in found.items()}


def _canonical(name: str) -> str:
    """Return a weight's name as transformers 5 and today's diffusers have it; both changed them."""
    name = name.removeprefix("text_model.").replace("vision_model.vision_model.", "vision_model.")
    return _FORMER.sub(lambda match: f"{match[1]}{_FORMER_NAMES[match[2]]}.", name)


def _remake_positions(component: str, model: Any) -> None:
    """Make the one kind of buffer that no file holds: 0, 1, ... for CLIP's position embedding."""
    for name, buffer in list(model.named_buffers()):
        if not buffer.is_meta:
            continue
        home, _, leaf = name.rpartition(".")
        if leaf != "position_ids":
            raise ModelUnsupported(f"{component} has a buffer that no file holds: {name}")
        positions = torch.arange(buffer.shape[-1]).expand((1, -1))
        model.get_submodule(home).register_buffer(leaf, positions, persistent=False)
