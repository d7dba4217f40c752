"""Rows a second of `retouch train` against a plain diffusers loop: same model, scenes, objective, in the same run.

    python benchmarks/train_throughput.py --data data/pocket

The plain loop is what diffusers' training examples do, put to inpainting: pictures and masks from memory, the VAE
in each step, AdamW, gradient clipping, EMAModel, the default memory layout. Ours reads a latent cache of the same
scenes, made before (`cache_s`). Both begin with the same weights, and take their steps in turns, so that a busy
machine slows both alike; their losses, quarter by quarter, say whether they learn the same.
"""

import argparse
import copy
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from accelerate import Accelerator
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from diffusers.training_utils import EMAModel

from retouch.data.compose import Scene, SceneComposer
from retouch.data.mixture import MIXTURES
from retouch.train.config import TrainConfig
from retouch.train.denoiser import Denoiser, build_denoiser, empty_tokens
from retouch.train.latents import LatentCache, LatentSpec, build_latents, latent_mask, masked_image
from retouch.train.loop import Trainer
from retouch.train.origin import load_origin
from retouch.train.surgery import widen_input
from retouch.train.text import encode_captions

ROOT = Path(__file__).parents[1]
POCKET = ROOT / "src" / "retouch" / "models" / "pocket"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SIZE = 128
WARMUP = 3
Step = Callable[[], float]


def recipe(cache: Path, args: argparse.Namespace) -> TrainConfig:
    """The UNet and optimiser of configs/pocket.yaml, with the parts of the embedded model, in one plain phase."""
    tree = yaml.safe_load((ROOT / "configs" / "pocket.yaml").read_text(encoding="utf-8"))
    tree["model"] |= {
        "vae": str(POCKET / "vae"),
        "tokenizer": str(POCKET / "tokenizer"),
        "text": {"pretrained": str(POCKET / "text_encoder")},
    }
    tree["mixed_precision"] = args.precision
    tree["phases"] = [
        {
            "name": "inpaint",
            "task": "inpaint",
            "data": {"kind": "latents", "folder": str(cache), "size": SIZE},
            "steps": args.steps,
            "global_batch": args.batch,
            "micro_batch": args.batch,
            "learning_rate": args.learning_rate,
        }
    ]
    return TrainConfig.model_validate(tree)


def our_step(config: TrainConfig, denoiser: Denoiser, cache: LatentCache, tokenizer: Any) -> Step:
    """Return one optimiser step of our trainer, as `retouch train run` does it."""
    accelerator = Accelerator(mixed_precision=config.mixed_precision, cpu=DEVICE == "cpu")
    trainer = Trainer(config, denoiser, empty_tokens=empty_tokens(tokenizer), accelerator=accelerator)
    run = trainer._start_phase(cache)
    return lambda: trainer._step(run)["loss"]


def plain_step(config: TrainConfig, denoiser: Denoiser, scenes: list[Scene], tokenizer: Any) -> Step:
    """Return one step of a loop as diffusers' examples have it."""
    phase, settings = config.phases[0], config.optimiser
    vae: AutoencoderKL = load_origin(config.model).vae.to(DEVICE)
    unet = denoiser.to(DEVICE).unet.to(memory_format=torch.contiguous_format)
    optimiser = torch.optim.AdamW(
        unet.parameters(), lr=phase.learning_rate, betas=settings.betas, weight_decay=settings.weight_decay
    )
    scheduler = DDPMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
    )
    ema = EMAModel(unet.parameters(), model_cls=UNet2DConditionModel, model_config=unet.config)
    images = torch.from_numpy(np.stack([scene.image for scene in scenes])).permute(0, 3, 1, 2)
    masks = torch.from_numpy(np.stack([scene.mask for scene in scenes]))[:, None]
    tokens = encode_captions(tokenizer, [scene.caption for scene in scenes])
    nothing = empty_tokens(tokenizer)
    generator = torch.Generator().manual_seed(1)

    def encode(pictures: torch.Tensor) -> torch.Tensor:
        latents: torch.Tensor = vae.encode(pictures).latent_dist.sample(generator)
        return latents * vae.config.scaling_factor

    def step() -> float:
        pick = torch.randint(0, len(scenes), (phase.global_batch,), generator=generator)
        pictures = (images[pick].float() / 127.5 - 1.0).to(DEVICE)
        mask = masks[pick].float().to(DEVICE)
        with torch.autocast(DEVICE, torch.bfloat16, enabled=config.mixed_precision == "bf16"):
            with torch.no_grad():
                latents, hidden = encode(pictures), encode(masked_image(pictures, mask))
            noise = torch.randn(latents.shape, generator=generator).to(DEVICE)
            timesteps = torch.randint(0, 1000, (len(pick),), generator=generator).to(DEVICE)
            noisy = scheduler.add_noise(latents, noise, timesteps)
            hole = latent_mask(mask, latents.shape[-1], rule="nearest")
            drop = torch.rand(len(pick), 1, generator=generator) < phase.text_drop_rate
            words = torch.where(drop, nothing, tokens[pick]).to(DEVICE)
            with torch.no_grad():
                embeds = denoiser.text_encoder(words)[0]
            prediction = unet(torch.cat([noisy, hole, hidden], dim=1), timesteps, embeds).sample
        loss = F.mse_loss(prediction.float(), scheduler.get_velocity(latents, noise, timesteps).float())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), settings.max_grad_norm)
        optimiser.step()
        optimiser.zero_grad()
        ema.step(unet.parameters())
        return loss.item()

    return step


def timed(step: Step) -> tuple[float, float]:
    """Return the seconds of a step, and its loss: reading it waits for the device."""
    started = time.perf_counter()
    loss = step()
    return time.perf_counter() - started, loss


def compare(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Train both side by side; return rates, their ratio, and the losses."""
    config = recipe(folder, args)
    torch.manual_seed(0)
    origin = load_origin(config.model)
    tokenizer = origin.tokenizer
    composer = SceneComposer.open(args.data, size=SIZE, mixture=MIXTURES["centred"])
    scenes = [composer.scene(np.random.default_rng((0, number))) for number in range(args.scenes)]
    started = time.perf_counter()
    build_latents(
        LatentSpec(
            args.data,
            POCKET / "vae",
            POCKET / "tokenizer",
            folder,
            slots=args.scenes,
            size=SIZE,
            mixture="centred",
        ),
        tokenizer,
    )
    cache_s = time.perf_counter() - started
    denoiser = build_denoiser(config.model, origin)
    widen_input(denoiser.unet)
    steps = {
        "retouch": our_step(config, copy.deepcopy(denoiser), LatentCache(folder), tokenizer),
        "diffusers": plain_step(config, denoiser, scenes, tokenizer),
    }
    done: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
    for _ in range(WARMUP + args.steps):
        for name, step in steps.items():
            done[name].append(timed(step))
    seconds = {name: [pair[0] for pair in pairs[WARMUP:]] for name, pairs in done.items()}
    losses = {name: [pair[1] for pair in pairs] for name, pairs in done.items()}
    quarter = max(1, args.steps // 4)
    return {
        "rows_per_s": {name: round(args.batch / statistics.median(found), 2) for name, found in seconds.items()},
        "speedup": round(
            statistics.median(b / a for a, b in zip(seconds["retouch"], seconds["diffusers"], strict=True)), 3
        ),
        "loss_by_quarter": {
            name: [
                round(statistics.mean(found[k : k + quarter]), 4)
                for k in range(0, args.steps - quarter + 1, quarter)
            ]
            for name, found in losses.items()
        },
        "cache_s": round(cache_s, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder made by `retouch data build pocket`")
    parser.add_argument("--scenes", type=int, default=512)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--precision", default="bf16", choices=["no", "bf16"], help="of both")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = compare(args, Path(folder) / "latents")
    device = torch.cuda.get_device_name() if DEVICE == "cuda" else f"{torch.get_num_threads()} CPU threads"
    print(json.dumps({**result, "precision": args.precision, "device": device, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
