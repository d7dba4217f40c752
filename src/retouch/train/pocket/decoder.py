"""Training of a wider decoder, which sees the kept pixels and mends what the denoiser paints raggedly.

The encoder stays, and with it all latents: the denoiser need not know.
"""

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AsymmetricAutoencoderKL, AutoencoderKL
from torch import Tensor

from retouch.data.compose import SceneComposer
from retouch.data.mixture import MIXTURES, MixtureName
from retouch.errors import InvalidField
from retouch.models.components import Components
from retouch.models.devices import multiplies_bf16
from retouch.train.cache_facts import check_facts, write_facts
from retouch.train.config import ModelConfig
from retouch.train.export import write_folder
from retouch.train.origin import load_origin
from retouch.train.pocket.painted import OBJECT, PaintedScenes, paint_scenes, with_rim
from retouch.train.pocket.perceptual import PerceptualDistance
from retouch.train.pocket.vae import colour_loss, cosine_rate, gradient_loss
from retouch.train.pocket.widen import widen_decoder
from retouch.train.posteriors import posteriors_of, to_unit_range
from retouch.train.progress import RunLog
from retouch.train.storage import load_state, save_atomically

KEPT_WEIGHT = 0.2
"""Of kept pixels: the composite takes them from the picture, and the seam's correction their difference."""
PAINTED_GROUND_WEIGHT = 0.15
"""Of ground that the denoiser has painted: its target is no better than what is decoded there already."""
UNMASKED_SHARE = 0.35
"""Of the encoded scenes, rows that are decoded without a look at kept pixels."""


@dataclass(frozen=True, slots=True)
class DecoderRecipe:
    """What the decoder's training is made of."""

    model_dir: Path
    """The checkpoint whose denoiser paints; its VAE is widened, or gone on with where it is wide already."""
    data_dir: Path
    run_dir: Path
    widths: tuple[int, ...] = (16, 32, 64, 128)
    painted: int = 5264
    """Scenes that are painted before."""
    painted_mixture: MixtureName = "centred"
    encoded_mixture: MixtureName = "varied"
    encoded_share: float = 0.45
    """Of the rows, scenes that are encoded and not painted."""
    steps: int = 3800
    batch: int = 16
    crop: int = 128
    whole_from: float = 0.55
    """From this share of the run on, a quarter as many rows of whole pictures: norms see what they will see."""
    learning_rate: float = 7e-4
    ema_decay: float = 0.998
    time_limit_s: float = math.inf
    """Wall-clock budget: the learning rate falls to 0 by whichever comes first, the last step or this."""
    seed: int = 0
    save_every: int = 100
    log_every: int = 20


@dataclass(frozen=True, slots=True)
class Rows:
    """What a step learns from.

    Attributes:
        latents: (B, 4, h, w), as the decoder takes them; targets: (B, 3, H, W) in [-1, 1].
        holes, objects: (B, 1, H, W) in 0..1; a hole that covers everything stands for no look at kept pixels, and
            of encoded scenes no object is known.
        painted: (B, 1, 1, 1), 1 where the latents are a denoiser's.
    """

    latents: Tensor
    targets: Tensor
    holes: Tensor
    objects: Tensor
    painted: Tensor


class Examples:
    """Painted scenes and encoded ones, in crops that begin at latent cells."""

    def __init__(self, recipe: DecoderRecipe, parts: Components, size: int) -> None:
        self._recipe = recipe
        self._vae = parts.vae
        self._scenes = PaintedScenes.open(recipe.run_dir / "painted")
        mixture = MIXTURES[recipe.encoded_mixture]
        self._composer = SceneComposer.open(recipe.data_dir, size=size, mixture=mixture)
        self._factor = size // self._scenes.latents.shape[-1]

    def rows(self, step: int, *, count: int, side: int) -> Rows:
        """The rows of a step: `count` crops of `side` pixels."""
        rng = np.random.default_rng((self._recipe.seed, 1, step))
        return Rows(*(torch.stack(part) for part in zip(*(self._row(rng, side) for _ in range(count)))))

    def _row(self, rng: np.random.Generator, side: int) -> Iterator[Tensor]:
        is_painted = rng.random() >= self._recipe.encoded_share
        latents, picture, holes, objects = self._painted(rng) if is_painted else self._encoded(rng)
        cells = side // self._factor
        top, left = (int(start) for start in rng.integers(0, latents.shape[-1] - cells + 1, 2))
        pixels = np.s_[top * self._factor :, left * self._factor :]
        cut = [array[pixels][:side, :side] for array in (picture, holes, objects)]
        yield latents[:, top : top + cells, left : left + cells].float() / self._vae.config.scaling_factor
        yield torch.from_numpy(cut[0].copy()).permute(2, 0, 1).float() / 127.5 - 1.0
        yield from (torch.from_numpy(mask)[None].float() for mask in cut[1:])
        yield torch.full((1, 1, 1), float(is_painted))

    def _painted(self, rng: np.random.Generator) -> tuple[Tensor, Any, Any, Any]:
        number = int(rng.integers(len(self._scenes)))
        holes = self._scenes.holes[number]
        latents = torch.from_numpy(self._scenes.latents[number].copy())
        return latents, self._scenes.targets[number], holes > 0, holes == OBJECT

    def _encoded(self, rng: np.random.Generator) -> tuple[Tensor, Any, Any, Any]:
        scene = self._composer.scene(rng)
        with torch.no_grad():
            latents = posteriors_of(self._vae, to_unit_range(torch.from_numpy(scene.image)[None]))[0, 0]
        holes = np.ones_like(scene.mask) if rng.random() < UNMASKED_SHARE else scene.mask
        return latents, scene.image, holes, np.zeros_like(scene.mask)


def decoder_loss(vae: AsymmetricAutoencoderKL, rows: Rows, perceptual: PerceptualDistance) -> dict[str, Tensor]:
    """The terms of the loss, unweighted, and their weighted sum under `loss`."""
    with torch.autocast("cpu", torch.bfloat16, enabled=multiplies_bf16()):
        decoded = vae.decoder(vae.post_quant_conv(rows.latents), rows.targets, rows.holes).float()
    loose = rows.painted * rows.holes * (1.0 - with_rim(rows.objects, pixels=4))
    inside = rows.holes * torch.where(loose > 0, PAINTED_GROUND_WEIGHT, 1.0)
    weights = (1.0 - rows.holes) * KEPT_WEIGHT + inside
    weighed = weights * decoded, weights * rows.targets
    # Edges and features are those of what the target knows: the rest is put in as it should be.
    shown = torch.where(loose > 0, rows.targets, decoded)
    weights = KEPT_WEIGHT + (1.0 - KEPT_WEIGHT) * rows.holes
    terms = {
        "l1": F.l1_loss(*weighed),
        "gradient": gradient_loss(weights * shown, weights * rows.targets),
        "perceptual": perceptual(shown, rows.targets),
        "colour": colour_loss(*weighed),
    }
    shares = {"l1": 1.0, "gradient": 0.5, "perceptual": 0.5, "colour": 2.0}
    return terms | {"loss": sum((shares[name] * term for name, term in terms.items()), torch.zeros(()))}


class DecoderTrainer:
    """The VAE, its averaged decoder, its optimiser and its place in the run; used by one thread."""

    def __init__(self, recipe: DecoderRecipe, vae: AsymmetricAutoencoderKL) -> None:
        self.recipe = recipe
        self.vae = vae.to(memory_format=torch.channels_last).requires_grad_(False)
        trained = [*vae.decoder.parameters(), *vae.post_quant_conv.parameters()]
        self._trained = [parameter.requires_grad_(True) for parameter in trained]
        self._averages = [parameter.detach().clone() for parameter in trained]
        self._optimiser = torch.optim.AdamW(
            trained, lr=recipe.learning_rate, betas=(0.9, 0.99), weight_decay=1e-4, fused=True
        )
        self.step = self.samples = 0
        self.elapsed_s = 0.0

    @property
    def progress(self) -> float:
        return max(self.step / self.recipe.steps, self.elapsed_s / self.recipe.time_limit_s)

    def train_step(self, examples: Examples, perceptual: PerceptualDistance) -> dict[str, Tensor]:
        """One optimiser step."""
        recipe, started = self.recipe, time.monotonic()
        for group in self._optimiser.param_groups:
            group["lr"] = cosine_rate(recipe.learning_rate, self.progress)
        if self.progress < recipe.whole_from:
            rows = examples.rows(self.step, count=recipe.batch, side=recipe.crop)
        else:
            rows = examples.rows(self.step, count=max(1, recipe.batch // 4), side=self.vae.config.sample_size)
        terms = decoder_loss(self.vae, rows, perceptual)
        torch.autograd.backward(terms["loss"])
        torch.nn.utils.clip_grad_norm_(self._trained, 1.0)
        self._optimiser.step()
        self._optimiser.zero_grad()
        self.step += 1
        self.samples += len(rows.latents)
        decay = min(recipe.ema_decay, self.step / (10.0 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(self._averages, self._trained, 1.0 - decay)
        self.elapsed_s += time.monotonic() - started
        return {name: term.detach() for name, term in terms.items()}

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs."""
        return {
            "vae": self.vae.state_dict(),
            "averages": self._averages,
            "optimiser": self._optimiser.state_dict(),
            "step": self.step,
            "samples": self.samples,
            "elapsed_s": self.elapsed_s,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.vae.load_state_dict(state["vae"])
        self._averages = state["averages"]
        self._optimiser.load_state_dict(state["optimiser"])
        self.step, self.samples, self.elapsed_s = (state[name] for name in ("step", "samples", "elapsed_s"))

    @torch.no_grad()
    def finish(self) -> AsymmetricAutoencoderKL:
        """Give the trained parameters their averages, and return the VAE."""
        for parameter, average in zip(self._trained, self._averages, strict=True):
            parameter.copy_(average)
        return self.vae.eval()


def _begun(old: AutoencoderKL | AsymmetricAutoencoderKL, recipe: DecoderRecipe) -> AsymmetricAutoencoderKL:
    """What the run begins with: the widened VAE, or one that is as wide already."""
    factor = 2 ** (len(recipe.widths) - 1)
    if recipe.crop % factor or not factor <= recipe.crop <= old.config.sample_size:
        raise InvalidField("crop", f"is {recipe.crop}, must be {factor} to {old.config.sample_size} by {factor}")
    if isinstance(old, AutoencoderKL):
        return widen_decoder(old, recipe.widths)
    if tuple(old.config.up_block_out_channels) != recipe.widths:
        raise InvalidField("widths", f"the decoder is wide already: {tuple(old.config.up_block_out_channels)}")
    return copy.deepcopy(old)


def _check_facts(recipe: DecoderRecipe, parts: Components) -> None:
    """See that what an earlier call left in the run's folder was made from the same."""
    facts: dict[str, Any] = {
        "model": parts.content_hash,
        "widths": list(recipe.widths),
        "painted": recipe.painted,
        "painted_mixture": recipe.painted_mixture,
        "seed": recipe.seed,
    }
    check_facts(recipe.run_dir, facts, seen={})
    write_facts(recipe.run_dir, facts)


def train_decoder(recipe: DecoderRecipe) -> Path:
    """Paint the scenes, train, or go on where `run_dir` stands; returns the folder of the finished checkpoint.

    Raises:
        InvalidField: widths or crop do not fit the VAE, or the folder was begun with something else.
        ModelUnsupported: the checkpoint's VAE or denoiser is of another kind.
    """
    parts = load_origin(ModelConfig(pretrained=str(recipe.model_dir)))
    vae = _begun(parts.vae, recipe)
    size = int(parts.vae.config.sample_size)
    _check_facts(recipe, parts)
    mixture, words = replace(MIXTURES[recipe.painted_mixture], unnamed=0.0), parts.notes.vocabulary
    composer = SceneComposer.open(recipe.data_dir, size=size, mixture=mixture, words=words)
    paint_scenes(parts, composer, recipe.run_dir / "painted", count=recipe.painted, seed=recipe.seed)
    trainer = DecoderTrainer(recipe, vae)
    checkpoint = recipe.run_dir / "checkpoint.pt"
    if checkpoint.exists():
        trainer.load(load_state(checkpoint))
    examples, perceptual = Examples(recipe, parts, size), PerceptualDistance()
    log = RunLog(recipe.run_dir / "log.jsonl", total=recipe.steps * recipe.batch)
    while trainer.progress < 1.0:
        log.note(**trainer.train_step(examples, perceptual))
        if trainer.step % recipe.log_every == 0:
            log.report(step=trainer.step, samples=trainer.samples)
        if trainer.step % recipe.save_every == 0:
            save_atomically(trainer.state(), checkpoint)
    save_atomically(trainer.state(), checkpoint)
    finished = recipe.run_dir / "model"
    write_folder(replace(parts, vae=trainer.finish()), finished)
    return finished
