"""Rows a second of `retouch train` against a plain diffusers loop, on the same data and model, in the same run.

    python benchmarks/train_throughput.py --cache CACHE --batch 32 --steps 20

The plain loop is what diffusers' training examples do: MSE on the noise, AdamW, gradient clipping, EMAModel, in
the default memory layout. Both see the rows of the latent cache in turns, so that a busy machine slows both alike.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
import yaml
from accelerate import Accelerator
from diffusers import DDPMScheduler, UNet2DConditionModel
from diffusers.training_utils import EMAModel

from retouch.train.config import TrainConfig
from retouch.train.denoiser import Denoiser, build_denoiser
from retouch.train.latents import LatentCache, latent_mask
from retouch.train.loop import Trainer
from retouch.train.surgery import widen_input

TOKENIZER_LENGTH = 32


class Words:
    """Stands for a tokenizer where only its sizes matter."""

    bos_token_id, eos_token_id, pad_token_id = 0, 1, 1
    model_max_length = TOKENIZER_LENGTH

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size


def read_recipe(path: Path, cache: Path, batch: int, precision: str, is_compiled: bool) -> TrainConfig:
    tree = yaml.safe_load(path.read_text())
    phase = tree["phases"][-1] | {"data": {"kind": "latents", "folder": str(cache)}, "steps": 10**6}
    tree["phases"] = [phase | {"global_batch": batch, "micro_batch": batch}]
    tree["mixed_precision"] = precision
    tree["model"]["compile"] = is_compiled
    return TrainConfig.model_validate(tree)


def our_step(config: TrainConfig, denoiser: Denoiser, cache: LatentCache) -> Callable[[], None]:
    """One optimiser step of our trainer, as `retouch train run` does it."""
    accelerator = Accelerator(mixed_precision=config.mixed_precision, cpu=not torch.cuda.is_available())
    trainer = Trainer(
        config, denoiser, empty_tokens=torch.ones(1, TOKENIZER_LENGTH).long(), accelerator=accelerator
    )
    run = trainer._start_phase(cache)
    return lambda: trainer._step(run) and None


def plain_step(denoiser: Denoiser, cache: LatentCache, batch: int, rate: float) -> Callable[[], None]:
    """One step of a loop as diffusers' examples have it."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = denoiser.to(device).to(memory_format=torch.contiguous_format)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate)
    scheduler = DDPMScheduler(
        num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"
    )
    ema = EMAModel(model.unet.parameters(), model_cls=UNet2DConditionModel, model_config=model.unet.config)

    def step() -> None:
        rows = cache.batch(
            torch.rand(batch, dtype=torch.float64), torch.randn(batch, 2, 4, cache.cells, cache.cells)
        )
        noise = torch.randn_like(rows.latents)
        timesteps = torch.randint(0, 1000, (batch,))
        noisy = scheduler.add_noise(rows.latents, noise, timesteps)
        mask = latent_mask(rows.mask, cache.cells, rule="nearest")
        unet_input = torch.cat([noisy, mask, rows.masked_image_latents], dim=1).to(device)
        loss = F.mse_loss(model(unet_input, timesteps.to(device), rows.tokens.to(device)), noise.to(device))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        ema.step(model.unet.parameters())
        loss.item()

    return step


def timed(step: Callable[[], None]) -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    started = time.perf_counter()
    step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="a folder made by `retouch train latents`")
    parser.add_argument("--config", type=Path, default=Path(__file__).parents[1] / "configs" / "pocket.yaml")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--precision", default="no", choices=["no", "bf16", "fp16"])
    parser.add_argument("--compile", action="store_true")
    arguments = parser.parse_args()
    cache = LatentCache(arguments.cache)
    config = read_recipe(
        arguments.config, arguments.cache, arguments.batch, arguments.precision, arguments.compile
    )
    words = Words(2000)
    denoisers = [build_denoiser(config.model, words) for _ in range(2)]
    for denoiser in denoisers:
        widen_input(denoiser.unet)
    steps = {
        "retouch": our_step(config, denoisers[0], cache),
        "diffusers": plain_step(denoisers[1], cache, arguments.batch, config.phases[0].learning_rate),
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(arguments.steps + 2):
        for name, step in steps.items():
            seconds = timed(step)
            if turn >= 2:  # the first two warm up
                times[name].append(seconds)
    rates = {name: round(arguments.batch / statistics.median(found), 2) for name, found in times.items()}
    ratio = statistics.median(b / a for a, b in zip(times["retouch"], times["diffusers"], strict=True))
    device = (
        torch.cuda.get_device_name() if torch.cuda.is_available() else f"{torch.get_num_threads()} CPU threads"
    )
    print(
        json.dumps({"rows_per_s": rates, "speedup": round(ratio, 3), "device": device, "torch": torch.__version__})
    )


if __name__ == "__main__":
    main()
