"""Training of a small VAE on random crops of composed scenes."""

import copy
import math
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor

from retouch.data.compose import SceneComposer
from retouch.data.mixture import MIXTURES, MixtureName
from retouch.errors import ModelUnsupported
from retouch.models.vae import load_vae
from retouch.train.feed import FeedSpec, each_its_own, read_ahead
from retouch.train.pictures import SceneReader
from retouch.train.pocket.perceptual import PerceptualDistance
from retouch.train.pool import Incoming, PicturePool
from retouch.train.posteriors import to_unit_range
from retouch.train.progress import RunLog
from retouch.train.storage import load_state, save_atomically


@dataclass(frozen=True, slots=True)
class VaeRecipe:
    """What the VAE's training is made of. Losses are weighted sums; `kl` is a mean over latent elements."""

    data_dir: Path
    run_dir: Path
    channels: tuple[int, ...] = (16, 32, 64)
    size: int = 128
    """Side of the scenes in pixels."""
    mixture: MixtureName = "full"
    steps: int = 2500
    batch: int = 24
    crop: int = 64
    learning_rate: float = 2e-3
    gradient_weight: float = 0.5
    perceptual_weight: float = 0.5
    colour_weight: float = 2.0
    anchor_share: float = 0.15
    """Share of the run in which the small picture itself leads the first three latent channels, ever less."""
    kl_weight: float = 1e-5
    seed: int = 0
    time_limit_s: float = math.inf
    """Wall-clock budget: the learning rate falls to 0 by whichever comes first, the last step or this."""
    workers: int = 1
    """Processes that compose scenes."""
    slots: int = 4096
    """Scenes that crops are drawn from, at once."""
    device: str = "cpu"
    compile: bool = False
    train_decoder_only: bool = False
    start_from: Path | None = None
    save_every: int = 100
    log_every: int = 20


def build_vae(channels: tuple[int, ...], *, size: int = 128) -> AutoencoderKL:
    """A VAE of four latent channels that halves the sides once per level after the first."""
    levels = len(channels)
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=channels,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        mid_block_add_attention=False,
        scaling_factor=1.0,
        sample_size=size,
    )


def load_plain_vae(folder: Path) -> AutoencoderKL:
    """The VAE of a folder, in fp32.

    Raises:
        ModelUnsupported: it is of another kind, such as `retouch train decoder` makes.
    """
    vae = load_vae(folder)
    if not isinstance(vae, AutoencoderKL):
        raise ModelUnsupported(f"{folder} holds a {type(vae).__name__}, not a plain AutoencoderKL")
    return vae


def gradient_loss(images: Tensor, targets: Tensor) -> Tensor:
    """Mean absolute difference of horizontal and vertical pixel differences of (B, 3, H, W) pictures."""
    error = images - targets
    return error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()


def colour_loss(images: Tensor, targets: Tensor) -> Tensor:
    """Mean absolute difference of the means of 8x8 pixels of (B, 3, H, W) pictures.

    It keeps hues true where the other terms weigh edges more.
    """
    return F.avg_pool2d(images - targets, kernel_size=8).abs().mean()


def anchor_loss(means: Tensor, images: Tensor) -> Tensor:
    """Mean squared distance of the first three latent channels from the picture at the latents' size, times 3.

    A run begun without it spent all four channels on edges and brightness: red and green came back as one brown,
    and the loss alone did not lead out of there.

    Args:
        means: (B, 4, h, w) of the posteriors.
        images: (B, 3, H, W) in [-1, 1].
    """
    small = F.adaptive_avg_pool2d(images, (means.shape[-2], means.shape[-1]))
    return F.mse_loss(means[:, :3], 3.0 * small)


def vae_loss(
    vae: AutoencoderKL, images: Tensor, perceptual: PerceptualDistance, recipe: VaeRecipe
) -> dict[str, Tensor]:
    """The terms of the loss, unweighted, and their weighted sum under `loss`. images: (B, 3, H, W) in [-1, 1]."""
    # The modules, not `encode` and `decode`: what those wrap around the tensors cannot be compiled.
    means, log_variances = vae.quant_conv(vae.encoder(images)).float().chunk(2, dim=1)
    log_variances = log_variances.clamp(-30.0, 20.0)  # diffusers' bounds
    latents = means + (0.5 * log_variances).exp() * torch.randn_like(means)
    decoded = vae.decoder(vae.post_quant_conv(latents)).float()
    terms = {
        "l1": F.l1_loss(decoded, images),
        "gradient": gradient_loss(decoded, images),
        "perceptual": perceptual(decoded, images),
        "colour": colour_loss(decoded, images),
        "anchor": anchor_loss(means, images),
        "kl": 0.5 * (means.square() + log_variances.exp() - 1.0 - log_variances).mean(),
    }
    terms["loss"] = (
        terms["l1"]
        + recipe.gradient_weight * terms["gradient"]
        + recipe.perceptual_weight * terms["perceptual"]
        + recipe.colour_weight * terms["colour"]
        + recipe.kl_weight * terms["kl"]
    )
    return terms


def cosine_rate(peak: float, progress: float, *, warmup: float = 0.02) -> float:
    """Learning rate at `progress` in [0, 1]: a linear rise over `warmup`, then a cosine to 0."""
    if progress < warmup:
        return peak * progress / warmup
    return peak * 0.5 * (1.0 + math.cos(math.pi * min((progress - warmup) / (1.0 - warmup), 1.0)))


class VaeTrainer:
    """The model, its optimiser and its place in the run; changed by the training thread alone."""

    def __init__(self, recipe: VaeRecipe) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        start = recipe.start_from
        fresh = build_vae(recipe.channels, size=recipe.size) if start is None else None
        self.vae = fresh or load_plain_vae(Path(str(start)))
        self.vae.to(device=recipe.device, memory_format=torch.channels_last)
        self._loss = torch.compile(vae_loss) if recipe.compile else vae_loss
        self._autocast = torch.autocast(recipe.device, torch.bfloat16, enabled=recipe.device != "cpu")
        if recipe.train_decoder_only:
            self.vae.encoder.requires_grad_(False)
            self.vae.quant_conv.requires_grad_(False)
        trained = [parameter for parameter in self.vae.parameters() if parameter.requires_grad]
        self.optimiser = torch.optim.AdamW(trained, lr=recipe.learning_rate, weight_decay=1e-4, fused=True)
        self.step = 0
        self.elapsed_s = 0.0

    def state(self) -> dict[str, Any]:
        return {
            "vae": self.vae.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "elapsed_s": self.elapsed_s,
        }

    def load(self, state: dict[str, Any]) -> None:
        self.vae.load_state_dict(state["vae"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.elapsed_s = state["step"], state["elapsed_s"]

    @property
    def progress(self) -> float:
        return max(self.step / self.recipe.steps, self.elapsed_s / self.recipe.time_limit_s)

    def train_step(self, images: Tensor, perceptual: PerceptualDistance) -> dict[str, Tensor]:
        """One optimiser step on images (B, 3, H, W) in [-1, 1]."""
        started = time.monotonic()
        for group in self.optimiser.param_groups:
            group["lr"] = cosine_rate(self.recipe.learning_rate, self.progress)
        with self._autocast:
            terms = self._loss(self.vae, images, perceptual, self.recipe)
        lead = max(0.0, 1.0 - self.progress / self.recipe.anchor_share)
        torch.autograd.backward(terms["loss"] + lead * terms["anchor"])
        torch.nn.utils.clip_grad_norm_(self.vae.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad()
        if self.step > 0:  # the first step may compile for a minute, which is none of the run's progress
            self.elapsed_s += time.monotonic() - started
        self.step += 1
        return {name: term.detach() for name, term in terms.items()}


def train_vae(recipe: VaeRecipe) -> Path:
    """Train, or go on where the last checkpoint of `run_dir` stands; returns the folder of the finished VAE."""
    trainer = VaeTrainer(recipe)
    checkpoint = recipe.run_dir / "checkpoint.pt"
    if checkpoint.exists():
        trainer.load(load_state(checkpoint))
    perceptual = PerceptualDistance().to(recipe.device)
    log = RunLog(recipe.run_dir / "log.jsonl", total=recipe.steps * recipe.batch)
    with _incoming(recipe, seed=recipe.seed + trainer.step) as incoming:
        pool = PicturePool(incoming, slots=recipe.slots, device=torch.device(recipe.device))
        while pool.made < min(256, recipe.slots):
            pool.renew(wait=True)
        generator = torch.Generator(recipe.device)
        while trainer.progress < 1.0:
            pool.renew()
            generator.manual_seed(recipe.seed * 2**32 + trainer.step)
            images = pool.crops(generator, count=recipe.batch, side=recipe.crop)
            log.note(**trainer.train_step(images, perceptual))
            if trainer.step % recipe.log_every == 0:
                log.report(step=trainer.step, samples=trainer.step * recipe.batch)
            if trainer.step % recipe.save_every == 0:
                save_atomically(trainer.state(), checkpoint)
    save_atomically(trainer.state(), checkpoint)
    return finish_vae(trainer.vae, recipe)


def _incoming(recipe: VaeRecipe, *, seed: int) -> Incoming:
    """The scenes that the run reads."""
    feed = FeedSpec(
        partial(SceneReader, recipe.data_dir, size=recipe.size, mixture=recipe.mixture, seed=(seed,)),
        tokenizer=None,
        workers=recipe.workers,
    )
    return Incoming(read_ahead(feed, each_its_own(), pin_memory=recipe.device != "cpu"))


@torch.no_grad()
def standardise_latents(vae: AutoencoderKL, mean: Tensor, std: Tensor) -> None:
    """Make each latent channel (z - mean) / std, in place.

    The encoder's last layer and the decoder's first one change. Both are 1x1 convolutions, so that
    the round trip stays what it was.

    Args:
        mean, std: (4,), of the channels' posterior means before.
    """
    encode, decode = vae.quant_conv, vae.post_quant_conv
    channels = len(mean)
    encode.weight[:channels] /= std.view(-1, 1, 1, 1)
    encode.bias[:channels] = (encode.bias[:channels] - mean) / std
    encode.bias[channels:] -= 2.0 * std.log()  # the second half is the log-variance
    decode.bias += decode.weight[:, :, 0, 0] @ mean
    decode.weight *= std.view(1, -1, 1, 1)


def finish_vae(vae: AutoencoderKL, recipe: VaeRecipe, *, scenes: int = 256) -> Path:
    """Standardise the latents over training scenes, channel by channel; save the diffusers folder.

    A VAE whose encoder was left alone keeps its latents.
    """
    finished = copy.deepcopy(vae).cpu().eval()
    if not recipe.train_decoder_only:
        latents = sample_latents(finished, recipe, scenes=scenes)
        standardise_latents(finished, latents.mean(dim=(0, 2, 3)), latents.std(dim=(0, 2, 3)))
        finished.register_to_config(scaling_factor=1.0)
    folder = recipe.run_dir / "vae"
    finished.save_pretrained(folder)
    return folder


@torch.no_grad()
def sample_latents(vae: AutoencoderKL, recipe: VaeRecipe, *, scenes: int) -> Tensor:
    """Posterior means of composed training scenes, as the VAE gives them: (scenes, 4, h, w)."""
    mixture = MIXTURES[recipe.mixture]
    composer = SceneComposer.open(recipe.data_dir, size=recipe.size, split="train", mixture=mixture)
    latents = []
    for start in range(0, scenes, 16):
        batch = [composer.scene(np.random.default_rng((1, index))).image for index in range(start, start + 16)]
        latents.append(vae.encode(to_unit_range(torch.from_numpy(np.stack(batch)))).latent_dist.mean)
    return torch.cat(latents)
