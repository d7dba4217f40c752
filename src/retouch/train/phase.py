"""One optimiser step of a phase: rows in, loss out."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from retouch.train.config import PhaseConfig
from retouch.train.latents import LatentBatch, latent_mask
from retouch.train.losses import hole_errors, min_snr_weights, row_errors
from retouch.train.noise import NoiseSchedule, Prediction
from retouch.train.rows import Draws, Place, draw_rows


class RowSource(Protocol):
    """Where examples come from: a latent cache, or pictures that are encoded as they come."""

    @property
    def cells(self) -> int:
        """Latent cells along one side."""

    def batch(self, pick: Tensor, posterior_noise: Tensor) -> LatentBatch:
        """Examples at `pick` (B,) in [0, 1), latents drawn with `posterior_noise` (B, 2, 4, h, w)."""


@dataclass(frozen=True, slots=True)
class Example:
    """What the model sees, and what it should say.

    Attributes:
        unet_input: (B, 4 or 9, h, w).
        timesteps: (B,).
        tokens: (B, T).
        target: (B, 4, h, w).
        hole: (B, 1, h, w), 1 = repaint; all ones in text-to-image.
    """

    unet_input: Tensor
    timesteps: Tensor
    tokens: Tensor
    target: Tensor
    hole: Tensor


@dataclass(frozen=True, slots=True)
class Recipe:
    """The fixed parts of a phase's mathematics."""

    phase: PhaseConfig
    noise: NoiseSchedule
    prediction_type: Prediction
    empty_tokens: Tensor

    def draw(self, places: list[Place], cells: int) -> Draws:
        """The random numbers of these rows."""
        phase = self.phase
        return draw_rows(
            places, cells=cells, text_drop_rate=phase.text_drop_rate, high_noise_share=phase.high_noise_share
        )

    def example_at(self, places: list[Place], source: RowSource, device: torch.device) -> Example:
        """The rows of these places, drawn from `source`."""
        draws = self.draw(places, source.cells)
        return self.example(source.batch(draws.pick, draws.posterior), draws, device)

    def example(self, batch: LatentBatch, draws: Draws, device: torch.device) -> Example:
        """Noise the latents, drop texts, and lay out the channels: latents, mask, masked image."""
        cells = batch.latents.shape[-1]
        noisy = self.noise.add_noise(batch.latents, draws.noise, draws.timesteps)
        hole = torch.ones_like(noisy[:, :1])
        unet_input = noisy
        if self.phase.task == "inpaint":
            hole = latent_mask(batch.mask, cells, rule=self.phase.latent_mask)
            unet_input = torch.cat([noisy, hole, batch.masked_image_latents], dim=1)
        tokens = torch.where(draws.drop_text[:, None], self.empty_tokens, batch.tokens)
        return Example(
            unet_input=unet_input.to(device).contiguous(memory_format=torch.channels_last),
            timesteps=draws.timesteps.to(device),
            tokens=tokens.to(device),
            target=self.noise.target(self.prediction_type, batch.latents, draws.noise, draws.timesteps).to(device),
            hole=hole.to(device),
        )

    def loss(self, prediction: Tensor, example: Example) -> tuple[Tensor, Tensor]:
        """The training loss, and the plain error inside the hole for the log: two scalars."""
        errors = row_errors(prediction, example.target, example.hole, self.phase.hole_loss_weight)
        if self.phase.min_snr_gamma is not None:
            snr = self.noise.snr(example.timesteps)
            errors = errors * min_snr_weights(snr, self.phase.min_snr_gamma, self.prediction_type)
        return errors.mean(), hole_errors(prediction.detach(), example.target, example.hole).mean()
