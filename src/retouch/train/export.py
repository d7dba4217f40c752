"""Export of a trained model as a diffusers folder that the stock pipelines load."""

import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionInpaintPipeline, UNet2DConditionModel
from transformers import CLIPTextModel

from retouch.models.components import Components, write_notes
from retouch.models.folder import quiet_loading
from retouch.models.schedulers import own_scheduler
from retouch.train.ema import trained_parameters
from retouch.train.text import save_vocabulary


def build_pipeline(parts: Components) -> StableDiffusionInpaintPipeline:
    """The stock inpainting pipeline around these components, with the checkpoint's own scheduler."""
    pipeline = StableDiffusionInpaintPipeline(
        vae=parts.vae,
        text_encoder=parts.text_encoder,
        tokenizer=parts.tokenizer,
        unet=parts.unet,
        scheduler=own_scheduler(parts.scheduler_config),
        safety_checker=parts.safety_checker,
        feature_extractor=parts.feature_extractor,
        requires_safety_checker=parts.safety_checker is not None,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def write_folder(parts: Components, folder: Path) -> None:
    """Write the components in fp16 under diffusers' default names, with `retouch.json` and maybe `lora/` beside.

    A safety checker keeps its precision, the scheduler its config, word for word. The components in memory are
    left as they are.
    """
    half = replace(
        parts,
        unet=_half(merged(parts.unet)),
        text_encoder=_half(parts.text_encoder),
        vae=_half(parts.vae),
    )
    with quiet_loading():
        build_pipeline(half).save_pretrained(folder, safe_serialization=True)
    scheduler = folder / "scheduler" / "scheduler_config.json"
    scheduler.write_text(json.dumps(dict(parts.scheduler_config), indent=2) + "\n", encoding="utf-8")
    for config in folder.glob("*/config.json"):
        _clean_config(config)
    if hasattr(parts.tokenizer, "backend_tokenizer"):
        save_vocabulary(parts.tokenizer, folder / "tokenizer")
    if _is_adapter_all(parts):
        write_lora(parts.unet, folder / "lora")
    write_notes(folder, parts.notes)


def _is_adapter_all(parts: Components) -> bool:
    """Whether a LoRA is all that was trained, and so all that a reader of `lora/` needs beside the base."""
    trained = trained_parameters(parts.unet) | trained_parameters(parts.text_encoder)
    return bool(getattr(parts.unet, "peft_config", None)) and all("lora_" in name for name in trained)


def _clean_config(config: Path) -> None:
    """Take the maker's paths out of a component's config, and let transformers 5 load it in fp32.

    It would take the file's fp16 where no dtype is asked for, while diffusers loads the rest in fp32, and the
    pipeline would mix the two.
    """
    tree = json.loads(config.read_text(encoding="utf-8"))
    tree.pop("_name_or_path", None)
    if tree.get("_class_name") == "AsymmetricAutoencoderKL":
        for key in (
            "block_out_channels",
            "force_upcast",
        ):  # which it sets itself, and warns of where it is given them
            tree.pop(key, None)
    if "model_type" in tree:  # transformers' own, not diffusers'
        tree.pop("torch_dtype", None)
        tree["dtype"] = "float32"
    config.write_text(json.dumps(tree, indent=2) + "\n", encoding="utf-8")


def _given(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config without what the model sets itself, and warns of where it is given it."""
    own = ("block_out_channels", "force_upcast") if config.get("_class_name") == "AsymmetricAutoencoderKL" else ()
    return {key: value for key, value in config.items() if key not in own}


def merged(unet: UNet2DConditionModel) -> UNet2DConditionModel:
    """The UNet with its LoRA added into the weights, as a copy; one without LoRA is returned as it is."""
    if not getattr(unet, "peft_config", None):
        return unet
    copied = copy.deepcopy(unet)
    copied.fuse_lora()
    copied.unload_lora()
    return copied


def write_lora(unet: UNet2DConditionModel, folder: Path) -> None:
    """Write the adapter alone, as diffusers' `load_lora_weights` reads it."""
    from diffusers.utils import convert_state_dict_to_diffusers
    from peft.utils import get_peft_model_state_dict

    layers = convert_state_dict_to_diffusers(get_peft_model_state_dict(unet))
    # Its alpha says how strong it is: without it a reader takes it as strong as its rank.
    metadata = unet.peft_config["default"].to_dict()
    StableDiffusionInpaintPipeline.save_lora_weights(
        folder, unet_lora_layers=layers, unet_lora_adapter_metadata=metadata
    )


def _half(module: Any) -> Any:
    """A copy in fp16, from the same configuration."""
    copied = (
        type(module)(module.config)
        if isinstance(module, CLIPTextModel)
        else type(module).from_config(_given(module.config))
    )
    copied.load_state_dict(module.state_dict())
    # Not diffusers' own `to`, which warns of casting even where nothing has to stay in float32.
    return torch.nn.Module.to(copied, torch.float16)
