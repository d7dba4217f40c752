"""One optimiser step of a phase: rows in, loss out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from retouch.train.config import PhaseConfig
from retouch.train.losses import hole_errors, min_snr_weights, row_errors
from retouch.train.noise import NoiseSchedule, Prediction
from retouch.train.posteriors import LatentBatch, latent_mask
from retouch.train.rows import Cells, Draws, Place, draw_on_device, draw_rows
from retouch.train.surgery import INPAINT_CHANNELS
from retouch.train.transfer import to_device


class RowSource(Protocol):
    """Where examples come from: a latent cache, or pictures that are encoded as they come."""

    @property
    def cells(self) -> int:
        """Latent cells along one side."""

    def batch(self, pick: Tensor, posterior_noise: Tensor) -> LatentBatch:
        """Examples at `pick` (B,) in [0, 1), on the host, latents drawn with `posterior_noise` (B, 2, 4, h, w).

        The noise may be on any device; so may the result be.
        """


@runtime_checkable
class OrderedSource(Protocol):
    """Where examples come from that are made ahead: the place of a row, not a draw, says which is its own."""

    @property
    def cells(self) -> int:
        """Latent cells along one side."""

    def batch_at(self, places: Sequence[Place], posterior_noise: Tensor) -> LatentBatch:
        """The examples of one micro-batch, latents drawn with `posterior_noise` (B, 2, 4, h, w)."""

    def take_notes(self) -> dict[str, float]:
        """What the log shall know, since this was asked last."""


@runtime_checkable
class ShapedSource(RowSource, Protocol):
    """A source whose micro-batches differ in shape."""

    def shape_at(self, place: Place) -> tuple[int, int]:
        """Latent cells (h, w) of the micro-batch whose first row stands at `place`."""


Source = RowSource | OrderedSource


def shape_at(source: Source, place: Place) -> tuple[int, int]:
    """Latent cells (h, w) of the micro-batch whose first row stands at `place`."""
    return source.shape_at(place) if isinstance(source, ShapedSource) else (source.cells, source.cells)


@dataclass(frozen=True, slots=True)
class Example:
    """What the model sees, and what it should say.

    Attributes:
        unet_input: (B, 4 or 9, h, w).
        timesteps: (B,).
        tokens: (B, T).
        target: (B, 4, h, w).
        hole: (B, 1, h, w), 1 = repaint; all ones in text-to-image.
        sketches: of rows whose captions do not say what is painted; as in `LatentBatch`.
    """

    unet_input: Tensor
    timesteps: Tensor
    tokens: Tensor
    target: Tensor
    hole: Tensor
    sketches: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Recipe:
    """The fixed parts of a phase's mathematics."""

    phase: PhaseConfig
    noise: NoiseSchedule
    prediction_type: Prediction
    empty_tokens: Tensor
    is_widened: bool = False
    """Whether the UNet has the inpainting channels already, in a phase that does not use them."""

    def draw(self, places: list[Place], cells: Cells, device: torch.device | None = None) -> Draws:
        """The random numbers of these rows, by row on the CPU, or together on another device."""
        phase = self.phase
        rates = {"text_drop_rate": phase.text_drop_rate, "high_noise_share": phase.high_noise_share}
        if device is None or device.type == "cpu":
            return draw_rows(places, cells=cells, **rates)
        return draw_on_device(places[0], len(places), device, cells=cells, **rates)

    def example_at(self, places: list[Place], source: Source, device: torch.device) -> Example:
        """The rows of these places, drawn from `source`."""
        draws = self.draw(places, shape_at(source, places[0]), device)
        if isinstance(source, OrderedSource):
            batch = source.batch_at(places, draws.posterior)
        else:
            batch = source.batch(draws.pick, draws.posterior)
        return self.example(batch, draws, device)

    def example(self, batch: LatentBatch, draws: Draws, device: torch.device) -> Example:
        """Noise the latents, drop texts, and lay out the channels: latents, mask, masked image."""
        parts = (batch.latents, draws.noise, draws.timesteps, batch.tokens, draws.drop_text)
        latents, noise, timesteps, tokens, drop = (to_device(part, device) for part in parts)
        sketches = None if batch.sketches is None else to_device(batch.sketches, device)
        noisy = self.noise.add_noise(latents, noise, timesteps)
        hole = torch.ones_like(noisy[:, :1])
        channels = [noisy]
        if self.phase.task == "inpaint":
            cells = latents.shape[-2], latents.shape[-1]
            hole = to_device(latent_mask(batch.mask, cells, rule=self.phase.latent_mask), device)
            channels = [noisy, hole, to_device(batch.masked_image_latents, device)]
        elif self.is_widened:
            # Where the new channels are 0 their weights have no gradient: they stay 0 until they are used.
            channels = [noisy, noisy.new_zeros(len(noisy), INPAINT_CHANNELS - 4, *noisy.shape[2:])]
        return Example(
            unet_input=torch.cat(channels, dim=1).contiguous(memory_format=torch.channels_last),
            timesteps=timesteps,
            tokens=torch.where(drop[:, None], to_device(self.empty_tokens, device), tokens),
            target=self.noise.target(self.prediction_type, latents, noise, timesteps),
            hole=hole,
            # A row whose text is dropped is asked for nothing: then a sketch would say too much.
            sketches=None if sketches is None else sketches.masked_fill(drop[:, None, None], torch.nan),
        )

    def loss(self, prediction: Tensor, example: Example) -> tuple[Tensor, Tensor]:
        """The training loss, and the plain error inside the hole for the log: two scalars."""
        phase = self.phase
        errors = row_errors(
            prediction,
            example.target,
            example.hole,
            hole_weight=phase.hole_loss_weight,
            detail_weight=phase.detail_loss_weight,
        )
        if phase.min_snr_gamma is not None:
            snr = self.noise.snr(example.timesteps)
            errors = errors * min_snr_weights(snr, phase.min_snr_gamma, self.prediction_type)
        return errors.mean(), hole_errors(prediction.detach(), example.target, example.hole).mean()
