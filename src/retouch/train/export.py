"""Export of a trained model as a diffusers folder that the stock pipelines load."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionInpaintPipeline, UNet2DConditionModel
from transformers import CLIPTextModel

from retouch.train.config import ExportConfig
from retouch.train.noise import BETA_END, BETA_START, TIMESTEPS
from retouch.train.text import save_vocabulary


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


def known_words(tokenizer: Any) -> list[str]:
    """Whole words of two letters and more, and `a`, that the tokenizer has one token for, sorted."""
    ends = (token.removesuffix("</w>") for token in tokenizer.get_vocab() if token.endswith("</w>"))
    return sorted({word for word in ends if word.isascii() and word.isalpha() and (len(word) > 1 or word == "a")})


def write_folder(parts: Parts, folder: Path, *, native_size: int, export: ExportConfig, words: list[str]) -> None:
    """Write the components in fp16 under diffusers' default names, and `retouch.json` beside them.

    The components in memory are left as they are.
    """
    half = Parts(
        unet=_half(parts.unet),
        text_encoder=_half(parts.text_encoder),
        vae=_half(parts.vae),
        tokenizer=parts.tokenizer,
        prediction_type=parts.prediction_type,
    )
    build_pipeline(half).save_pretrained(folder, safe_serialization=True)
    if hasattr(parts.tokenizer, "backend_tokenizer"):
        save_vocabulary(parts.tokenizer, folder / "tokenizer")
    advice = {
        "native_size": native_size,
        "recommended": {
            "num_inference_steps": export.num_inference_steps,
            "guidance_scale": export.guidance_scale,
            "scheduler": "DDIMScheduler",
        },
        "vocabulary": words,
        "licence": export.licence,
    }
    (folder / "retouch.json").write_text(json.dumps(advice, indent=1), encoding="utf-8")


def _half(module: Any) -> Any:
    """A copy in fp16, from the same configuration."""
    copied = (
        type(module)(module.config)
        if isinstance(module, CLIPTextModel)
        else type(module).from_config(module.config)
    )
    copied.load_state_dict(module.state_dict())
    return copied.to(torch.float16)
