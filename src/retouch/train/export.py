"""Export of a trained model as a diffusers folder that the stock pipelines load."""

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionInpaintPipeline, UNet2DConditionModel
from transformers import CLIPTextModel

from retouch.models.bundle import Recommended
from retouch.models.components import Notes, read_notes, write_notes
from retouch.train.config import ExportConfig, ModelConfig
from retouch.train.noise import BETA_END, BETA_START, TIMESTEPS
from retouch.train.text import WORDS_FILE, save_vocabulary


@dataclass(frozen=True, slots=True)
class Parts:
    """The components of a checkpoint."""

    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    vae: AutoencoderKL
    tokenizer: Any
    prediction_type: str


def build_scheduler(prediction_type: str) -> DDIMScheduler:
    """DDIM with Stable Diffusion's settings (its repository's scheduler_config.json)."""
    return DDIMScheduler(
        num_train_timesteps=TIMESTEPS,
        beta_start=BETA_START,
        beta_end=BETA_END,
        beta_schedule="scaled_linear",
        prediction_type=prediction_type,
        steps_offset=1,
        clip_sample=False,
        set_alpha_to_one=False,
    )


def build_pipeline(parts: Parts) -> StableDiffusionInpaintPipeline:
    """The stock inpainting pipeline around these components, without a safety checker of its own."""
    pipeline = StableDiffusionInpaintPipeline(
        vae=parts.vae,
        text_encoder=parts.text_encoder,
        tokenizer=parts.tokenizer,
        unet=parts.unet,
        scheduler=build_scheduler(parts.prediction_type),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def known_words(model: ModelConfig) -> frozenset[str] | None:
    """The words that a fresh model's tokenizer was made for, or that the one it starts from knows; None: all."""
    if model.pretrained is not None:
        return read_notes(Path(model.pretrained)).vocabulary
    words = Path(str(model.tokenizer)) / WORDS_FILE
    return frozenset(json.loads(words.read_text(encoding="utf-8"))) if words.is_file() else None


def write_folder(parts: Parts, folder: Path, *, export: ExportConfig, words: frozenset[str] | None) -> None:
    """Write the components in fp16 under diffusers' default names, and `retouch.json` beside them.

    The components in memory are left as they are.
    """
    half = Parts(
        unet=_half(merged(parts.unet)),
        text_encoder=_half(parts.text_encoder),
        vae=_half(parts.vae),
        tokenizer=parts.tokenizer,
        prediction_type=parts.prediction_type,
    )
    build_pipeline(half).save_pretrained(folder, safe_serialization=True)
    for config in folder.glob("*/config.json"):
        _clean_config(config)
    if hasattr(parts.tokenizer, "backend_tokenizer"):
        save_vocabulary(parts.tokenizer, folder / "tokenizer")
    if getattr(parts.unet, "peft_config", None):
        write_lora(parts.unet, folder / "lora")
    advice = Recommended(
        num_inference_steps=export.num_inference_steps,
        guidance_scale=export.guidance_scale,
        scheduler="DDIMScheduler",
        context=export.context,
        prompt_tokens=export.prompt_tokens,
        seam=export.seam,
    )
    write_notes(folder, Notes(recommended=advice, vocabulary=words, licence=export.licence))


def _clean_config(config: Path) -> None:
    """Take the maker's paths out of a component's config, and let transformers 5 load it in fp32.

    It would take the file's fp16 where no dtype is asked for, while diffusers loads the rest in fp32, and the
    pipeline would mix the two.
    """
    tree = json.loads(config.read_text(encoding="utf-8"))
    tree.pop("_name_or_path", None)
    if "model_type" in tree:  # transformers' own, not diffusers'
        tree.pop("torch_dtype", None)
        tree["dtype"] = "float32"
    config.write_text(json.dumps(tree, indent=2) + "\n", encoding="utf-8")


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
        else type(module).from_config(module.config)
    )
    copied.load_state_dict(module.state_dict())
    return copied.to(torch.float16)
