"""The components and inputs of diffusers' own inpainting tests, and what equal means beside its pipeline."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import (
    AsymmetricAutoencoderKL,
    AutoencoderKL,
    AutoencoderTiny,
    PNDMScheduler,
    StableDiffusionInpaintPipeline,
    UNet2DConditionModel,
)
from PIL import Image
from tests.factories import tiny_tokenizer
from transformers import CLIPTextConfig, CLIPTextModel

from retouch.engine.engine import Engine
from retouch.engine.settings import EngineSettings
from retouch.engine.ticket import Denoised
from retouch.models.bundle import ModelBundle
from retouch.models.in_memory import from_pipe
from retouch.opened import open_pictures
from retouch.prepare import prepare, settle
from retouch.request import DEFAULT_LIMITS, InpaintRequest

PROMPT = "A painting of a squirrel eating a burger"
LEVELS = ("DownEncoderBlock2D", "UpDecoderBlock2D")


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """A picture as either side made it: latents (C, h, w), levels (H, W, 3) in 0..255."""

    latents: np.ndarray[Any, Any]
    levels: np.ndarray[Any, Any]


def dummy_pipe(
    folder: Path, *, in_channels: int = 9, time_cond_proj_dim: int | None = None, vae: str = "kl", **unet: Any
) -> StableDiffusionInpaintPipeline:
    """Return a pipeline of two levels and random weights, 64 pixels native; `unet` overrides its UNet's config."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config: dict[str, Any] = {
            "block_out_channels": (32, 64),
            "layers_per_block": 2,
            "sample_size": 32,
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
            "cross_attention_dim": 32,
            "in_channels": in_channels,
            "out_channels": 4,
            "time_cond_proj_dim": time_cond_proj_dim,
        }
        tokenizer = tiny_tokenizer(folder, max_tokens=77)
        pipe = StableDiffusionInpaintPipeline(
            unet=UNet2DConditionModel(**config | unet).eval(),
            vae=dummy_vae(vae),
            text_encoder=dummy_text_encoder(),
            tokenizer=tokenizer,
            scheduler=PNDMScheduler(skip_prk_steps=True),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    pipe.set_progress_bar_config(disable=True)
    for module in (pipe.unet, pipe.vae):
        # As `from_pipe` lays them out. The betas that are diffusers' default multiply what another layout rounds
        # otherwise by 157 in the first step of DDIM alone.
        module.to(memory_format=torch.channels_last)
    return pipe


def dummy_vae(kind: str) -> Any:
    """Return a random VAE of factor 2: `kl`, `asymmetric` or `tiny`."""
    widths, (down, up) = (32, 64), LEVELS
    if kind == "tiny":
        return AutoencoderTiny(
            encoder_block_out_channels=(32, 32),
            decoder_block_out_channels=(32, 32),
            num_encoder_blocks=(1, 2),
            num_decoder_blocks=(2, 1),
        ).eval()
    if kind == "asymmetric":
        return AsymmetricAutoencoderKL(
            down_block_types=(down, down),
            down_block_out_channels=widths,
            layers_per_down_block=1,
            up_block_types=(up, up),
            up_block_out_channels=widths,
            layers_per_up_block=1,
        ).eval()
    return AutoencoderKL(block_out_channels=widths, down_block_types=(down, down), up_block_types=(up, up)).eval()


def dummy_text_encoder() -> CLIPTextModel:
    """Return a random text encoder, 32 wide."""
    config = CLIPTextConfig(
        bos_token_id=0,
        eos_token_id=2,
        hidden_size=32,
        intermediate_size=37,
        num_attention_heads=4,
        num_hidden_layers=5,
        pad_token_id=1,
        vocab_size=1000,
    )
    return CLIPTextModel(config).eval()


def dummy_picture(size: tuple[int, int] = (64, 64), seed: int = 0) -> Image.Image:
    """Return random colours of 32 x 32, scaled to (width, height)."""
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size)


def dummy_mask(size: tuple[int, int] = (64, 64), *, part: str = "all") -> Image.Image:
    """Return a mask of (width, height): `all` white, all but a `corner`, or a `soft` ramp."""
    width, height = size
    mask = np.full((height, width), 255, np.uint8)
    if part == "corner":
        mask[: height // 2, : width // 2] = 0
    if part == "soft":
        mask[:] = np.linspace(0, 255, width).astype(np.uint8)
    return Image.fromarray(mask)


def theirs(pipe: StableDiffusionInpaintPipeline, request: InpaintRequest) -> Made:
    """Run diffusers' pipeline, with the scheduler that it holds, on what a request asks."""
    last: dict[str, torch.Tensor] = {}

    def keep(_pipe: Any, _step: int, _timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        last.update(tensors)
        return tensors

    assert isinstance(request.image, Image.Image)
    assert isinstance(request.mask_image, Image.Image)
    images = pipe(
        prompt=request.prompt,
        negative_prompt=request.negative_prompt,
        image=request.image,
        mask_image=request.mask_image,
        width=request.image.width,
        height=request.image.height,
        num_inference_steps=request.num_inference_steps,
        guidance_scale=request.guidance_scale,
        strength=1.0 if request.strength is None else request.strength,
        generator=torch.Generator().manual_seed(request.seed or 0),
        callback_on_step_end=keep,
        output_type="np",
    ).images
    return Made(last["latents"][0].float().numpy(), (images[0] * 255).round())


def ours(pipe: StableDiffusionInpaintPipeline, request: InpaintRequest) -> Made:
    """Take the pipeline over and run the request in reference mode."""
    bundle = from_pipe(pipe)
    with Engine(bundle, EngineSettings(rows_per_call=2)) as engine:
        return made(denoise(engine, bundle, request))


def denoise(engine: Engine, bundle: ModelBundle, request: InpaintRequest) -> Denoised:
    """Run a request as it is through preparation and engine, before anything is composited."""
    settled = settle(request, bundle, DEFAULT_LIMITS)
    (plan,) = prepare(open_pictures(settled, DEFAULT_LIMITS), bundle, since=0.0).plans
    return engine.submit(plan).future.result(timeout=120)


def made(denoised: Denoised) -> Made:
    """Return what the engine made in the form that `assert_equal` compares."""
    return Made(denoised.latents.numpy(), (denoised.image.permute(1, 2, 0).numpy() * 255).round())


def distance(one: Made, other: Made) -> tuple[float, float]:
    """Return the largest differences: of the latents relative to their size, and in levels."""
    scale = max(1.0, float(np.abs(other.latents).max()))
    return float(np.abs(one.latents - other.latents).max()) / scale, float(np.abs(one.levels - other.levels).max())


def assert_equal(one: Made, other: Made, *, most: float = 1e-4) -> None:
    latents, levels = distance(one, other)
    assert np.isfinite(other.latents).all()
    assert latents <= most
    assert levels <= 1
