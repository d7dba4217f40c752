"""Tiny random checkpoints, complete and in diffusers' folder format, for tests that need a real model."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import (
    AsymmetricAutoencoderKL,
    AutoencoderKL,
    AutoencoderTiny,
    StableDiffusionInpaintPipeline,
    UNet2DConditionModel,
)
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from transformers import CLIPConfig, CLIPImageProcessor, CLIPTextConfig, CLIPTextModel, CLIPTokenizer

WORDS = ("a", "red", "green", "blue", "yellow", "apple", "cat", "dog", "hat", "on", "in", "the", "park", "bench")
_SCHEDULERS = {
    "DDIM": ("DDIMScheduler", {"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}),
    "PNDM": ("PNDMScheduler", {"skip_prk_steps": True, "set_alpha_to_one": False, "steps_offset": 1}),
    "Euler": ("EulerDiscreteScheduler", {"steps_offset": 1}),
    "EulerAncestral": ("EulerAncestralDiscreteScheduler", {"steps_offset": 1}),
    "DPM++": ("DPMSolverMultistepScheduler", {}),
}


def make_checkpoint(
    folder: Path,
    *,
    in_channels: int = 9,
    prediction_type: str = "epsilon",
    scheduler: str = "DDIM",
    vae: str = "kl",
    vae_factor: int = 4,
    latent_channels: int = 4,
    sample_size: int = 8,
    max_tokens: int = 16,
    words: tuple[str, ...] = WORDS,
    safety_checker: bool = False,
    variant: str | None = None,
    seed: int = 0,
) -> Path:
    """Save a random Stable Diffusion checkpoint of about 0.3 million parameters; return its folder.

    The weights depend on `seed` alone. The UNet halves its latents once, so image sides must divide by
    `2 * vae_factor`; the native size is `sample_size * vae_factor`. `vae` is one of `TINY_VAES`. `variant` names
    the files as the hub does (`fp16` also stores them in half precision).
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        components: dict[str, Any] = {
            "unet": tiny_unet(in_channels=in_channels, latent_channels=latent_channels, sample_size=sample_size),
            "vae": TINY_VAES[vae](vae_factor=vae_factor, latent_channels=latent_channels),
            "tokenizer": (tokenizer := tiny_tokenizer(folder / "tokenizer", words, max_tokens=max_tokens)),
            "text_encoder": tiny_text_encoder(len(tokenizer), max_tokens=max_tokens),
            "safety_checker": tiny_safety_checker() if safety_checker else None,
        }
    components["scheduler"] = make_scheduler(scheduler, prediction_type)
    components["feature_extractor"] = tiny_feature_extractor() if safety_checker else None
    pipe = StableDiffusionInpaintPipeline(**components, requires_safety_checker=False)
    if variant == "fp16":
        pipe.to(dtype=torch.float16)
    pipe.save_pretrained(folder, variant=variant)
    return folder


def make_scheduler(name: str, prediction_type: str = "epsilon") -> Any:
    """Return a scheduler with Stable Diffusion's betas: `DDIM`, `PNDM`, `Euler`, `EulerAncestral`, `DPM++`."""
    class_name, options = _SCHEDULERS[name]
    return getattr(diffusers, class_name)(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type=prediction_type,
        **options,
    )


def tiny_unet(*, in_channels: int = 9, latent_channels: int = 4, sample_size: int = 8) -> UNet2DConditionModel:
    """Return a random two-level UNet; its text width is 32."""
    return UNet2DConditionModel(
        sample_size=sample_size,
        in_channels=in_channels,
        out_channels=latent_channels,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=4,
        norm_num_groups=4,
    )


def tiny_vae(*, vae_factor: int = 4, latent_channels: int = 4) -> AutoencoderKL:
    """Return a random VAE that reduces by `vae_factor`, a power of two."""
    levels = vae_factor.bit_length()
    return AutoencoderKL(
        block_out_channels=(8,) * levels,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        layers_per_block=1,
        latent_channels=latent_channels,
        norm_num_groups=4,
        sample_size=8 * vae_factor,
    )


def tiny_asymmetric_vae(*, vae_factor: int = 4, latent_channels: int = 4) -> AsymmetricAutoencoderKL:
    """Return a random VAE whose decoder looks at the kept pixels, and is larger than its encoder."""
    levels = vae_factor.bit_length()
    return AsymmetricAutoencoderKL(
        down_block_out_channels=(8,) * levels,
        down_block_types=("DownEncoderBlock2D",) * levels,
        layers_per_down_block=1,
        up_block_out_channels=(12,) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        layers_per_up_block=2,
        latent_channels=latent_channels,
        norm_num_groups=4,
        sample_size=8 * vae_factor,
    )


def tiny_tiny_vae(*, vae_factor: int = 4, latent_channels: int = 4) -> AutoencoderTiny:
    """Return a random `AutoencoderTiny`, which has latents and no posterior."""
    levels = vae_factor.bit_length()
    return AutoencoderTiny(
        encoder_block_out_channels=(8,) * levels,
        decoder_block_out_channels=(8,) * levels,
        num_encoder_blocks=(1,) * levels,
        num_decoder_blocks=(1,) * levels,
        latent_channels=latent_channels,
    )


TINY_VAES: dict[str, Callable[..., Any]] = {
    "kl": tiny_vae,
    "asymmetric": tiny_asymmetric_vae,
    "tiny": tiny_tiny_vae,
}


def tiny_text_encoder(vocab_size: int, *, max_tokens: int = 16) -> CLIPTextModel:
    """Return a random CLIP text model of one layer, 32 wide."""
    config = CLIPTextConfig(
        vocab_size=vocab_size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=4,
        max_position_embeddings=max_tokens,
        projection_dim=32,
        bos_token_id=vocab_size - 2,
        eos_token_id=vocab_size - 1,
    )
    return CLIPTextModel(config).eval()


def tiny_tokenizer(folder: Path, words: tuple[str, ...] = WORDS, *, max_tokens: int = 16) -> CLIPTokenizer:
    """Write a CLIP tokenizer's files into `folder` and load it: `words` are one token each, the rest bytes."""
    symbols = [chr(code) for code in (*range(33, 127), *range(161, 173), *range(174, 256))]
    symbols += [chr(256 + n) for n in range(256 - len(symbols))]
    vocab = [*symbols, *(symbol + "</w>" for symbol in symbols)]
    merges: list[str] = []
    for word in words:
        parts = [*word[:-1], word[-1] + "</w>"]
        while len(parts) > 1:
            pair, joined = f"{parts[0]} {parts[1]}", parts[0] + parts[1]
            if joined not in vocab:
                vocab.append(joined)
                merges.append(pair)
            parts[:2] = [joined]
    vocab += ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({token: n for n, token in enumerate(vocab)}), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), encoding="utf-8")
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": max_tokens, "pad_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return CLIPTokenizer.from_pretrained(folder)


def tiny_safety_checker() -> StableDiffusionSafetyChecker:
    """Return a random checker of Stable Diffusion's own class, for 16 px crops; it flags nothing by itself."""
    config = CLIPConfig(
        text_config={"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 8},
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 16,
            "patch_size": 8,
        },
        projection_dim=16,
    )
    checker = StableDiffusionSafetyChecker(config)
    # A cosine hardly ever exceeds 0.99: this threshold lets every picture pass; tests lower it to flag all.
    checker.concept_embeds_weights.data.fill_(0.99)
    checker.special_care_embeds_weights.data.fill_(0.99)
    return checker.eval()


def tiny_feature_extractor() -> CLIPImageProcessor:
    """Return the image processor that belongs to `tiny_safety_checker`."""
    return CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
