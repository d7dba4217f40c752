"""Calls of the models: rows packed into one tensor, padded where asked, and taken apart again."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from diffusers import AsymmetricAutoencoderKL, AutoencoderKL

from retouch.engine.batcher import Kind, T, chunks
from retouch.engine.contexts import Contexts
from retouch.engine.layers.scratch import Scratch
from retouch.engine.layers.tuning import Tuning
from retouch.engine.settings import EngineSettings
from retouch.engine.tune import tuned
from retouch.models.bundle import ModelBundle
from retouch.models.tokens import padded_tokens

Kept = tuple[torch.Tensor, torch.Tensor]
"""A picture, (3, H, W) in [-1, 1], and its mask, (1, H, W), 1 = repaint: its kept pixels are the rest."""

_TEXT_ROWS = 2  # a prompt and its negative; also what text calls are padded to where the row count is fixed


@dataclass(frozen=True, slots=True, eq=False)
class UnetRow:
    """One row of a UNet call.

    Attributes:
        sample: (C, h, w) scaled latents; with mask (1) and masked image latents behind them for `concat`.
        timestep: the UNet's, whole or fractional.
        embeds: (T, D).
        guidance: (G,) embedding of the guidance scale, for distilled UNets that take one.
    """

    sample: torch.Tensor
    timestep: float
    embeds: torch.Tensor
    guidance: torch.Tensor | None = None


class ModelCalls:
    """The models of one bundle, called in rows. Used by the engine's thread alone.

    Attributes:
        row_cap: most rows of one UNet call; the engine halves it when the device runs out of memory.
        seconds: time inside the models, by kind.
        rows: rows that were asked for, by kind, without padding.
        calls: calls that were made, by kind.
    """

    def __init__(self, bundle: ModelBundle, settings: EngineSettings) -> None:
        self._bundle = bundle
        self._fixed = settings.rows_per_call
        self._vae_rows = settings.vae_rows
        self.row_cap = self._fixed or bundle.row_cap
        self.seconds: dict[Kind, float] = dict.fromkeys(Kind, 0.0)
        self.rows: Counter[Kind] = Counter()
        self.calls: Counter[Kind] = Counter()
        self._contexts = Contexts(settings.active_calls)
        self._unet, self._vae, self._scratch = bundle.unet, bundle.vae, Scratch()
        if settings.is_tuned:
            self._unet = tuned(bundle.unet, Tuning(owns_residuals=False), self._scratch)
            self._vae = tuned(bundle.vae, Tuning(owns_residuals=type(bundle.vae) is AutoencoderKL), self._scratch)

    @property
    def is_fixed(self) -> bool:
        """Whether every UNet call has the same number of rows."""
        return self._fixed > 0

    def most_rows(self, kind: Kind, *, is_guided: bool = True) -> int:
        """Return how many rows of a kind go into one call.

        Where the row count is fixed, unguided trajectories, which bring one row and not two, share calls of half
        the rows among themselves: as many pictures a call as guided ones, and no padding for the lone one.
        """
        if kind is Kind.TEXT:
            return _TEXT_ROWS if self.is_fixed else max(_TEXT_ROWS, self.row_cap)
        if kind is Kind.STEP:
            return self.row_cap if is_guided or not self.is_fixed else max(1, self.row_cap // 2)
        return self._vae_rows or max(1, self.row_cap // 4)

    def embed(self, prompts: Sequence[str]) -> torch.Tensor:
        """Return (rows, T, D) embeddings, in the bundle's dtype."""
        encoder = self._bundle.text_encoder
        tokens = padded_tokens(prompts, self._bundle.tokenizer)
        masked = bool(getattr(encoder.config, "use_attention_mask", False))
        pairs = list(zip(tokens.input_ids, tokens.attention_mask))

        def call(rows: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
            ids, mask = (torch.stack(part).to(self._bundle.device) for part in zip(*rows))
            embeds: torch.Tensor = encoder(ids, attention_mask=mask if masked else None)[0]
            return embeds.to(self._bundle.dtype)

        return self._in_calls(Kind.TEXT, pairs, call)

    def encode(self, pictures: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the posterior's (rows, 2 C, h, w) fp32: mean, then log variance, unscaled.

        Of a VAE without a posterior (`AutoencoderTiny`) it is the latents alone, (rows, C, h, w).

        Args:
            pictures: (3, H, W) in [-1, 1].
        """

        def call(rows: Sequence[torch.Tensor]) -> torch.Tensor:
            encoded = self._vae.encode(self._pack(rows, self._bundle.vae_dtype))
            moments: torch.Tensor = (
                encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.parameters
            )
            return moments.float()

        return self._in_calls(Kind.PICTURES, pictures, call)

    def predict(self, rows: Sequence[UnetRow], *, is_guided: bool = True) -> torch.Tensor:
        """Return the UNet's (rows, C, h, w) predictions, fp32; `is_guided` as for `most_rows`."""

        def call(rows: Sequence[UnetRow]) -> torch.Tensor:
            sample = self._pack([row.sample for row in rows], self._bundle.dtype)
            timesteps = torch.tensor([row.timestep for row in rows], dtype=torch.float32).to(self._bundle.device)
            guidance = [row.guidance for row in rows if row.guidance is not None]
            prediction: torch.Tensor = self._unet(
                sample,
                timesteps,
                encoder_hidden_states=self._contexts.packed([row.embeds for row in rows]),
                timestep_cond=torch.stack(guidance) if guidance else None,
                return_dict=False,
            )[0]
            return prediction.float()

        return self._in_calls(Kind.STEP, rows, call, size=self.most_rows(Kind.STEP, is_guided=is_guided))

    def decode(self, latents: Sequence[torch.Tensor], kept: Sequence[Kept] = ()) -> torch.Tensor:
        """Return (rows, 3, H, W) fp32 in about [-1, 1], not clamped, so that NaN is still seen.

        Args:
            latents: (C, h, w), scaled as the UNet knows them.
            kept: image and mask of each row, for a VAE whose decoder looks at the kept pixels.
        """
        bundle, dtype = self._bundle, self._bundle.vae_dtype
        sees_kept = isinstance(self._vae, AsymmetricAutoencoderKL)

        def call(rows: Sequence[tuple[torch.Tensor, Kept | None]]) -> torch.Tensor:
            unscaled = [row / bundle.scaling_factor + bundle.shift_factor for row, _ in rows]
            looked_at = zip(*(seen for _, seen in rows if seen is not None))
            condition = {name: self._pack(part, dtype) for name, part in zip(("image", "mask"), looked_at)}
            image: torch.Tensor = self._vae.decode(self._pack(unscaled, dtype), return_dict=False, **condition)[0]
            return image.float()

        seen = kept if sees_kept and kept else [None] * len(latents)
        return self._in_calls(Kind.DECODE, list(zip(latents, seen)), call)

    def rest(self) -> None:
        """Give back the memory that only the next call of the same rows would use."""
        self._contexts.clear()
        self._scratch.clear()

    def _pack(self, rows: Sequence[torch.Tensor], dtype: torch.dtype) -> torch.Tensor:
        packed = torch.stack(tuple(rows)).to(device=self._bundle.device, dtype=dtype)
        return packed.contiguous(memory_format=torch.channels_last)

    def _in_calls(
        self,
        kind: Kind,
        rows: Sequence[T],
        call: Callable[[Sequence[T]], torch.Tensor],
        *,
        size: int | None = None,
    ) -> torch.Tensor:
        start = time.perf_counter()
        size = size or self.most_rows(kind)
        parts = []
        try:
            for chunk in chunks(rows, size):
                # Padding repeats a row: its result is dropped, its cost is the price of bits that never change.
                padded = [*chunk, *[chunk[-1]] * (size - len(chunk))] if self.is_fixed else chunk
                parts.append(call(padded)[: len(chunk)])
                self.calls[kind] += 1
        finally:
            if kind in (Kind.PICTURES, Kind.DECODE):
                self._scratch.clear()  # a VAE's is as large as its feature maps; a step's is wanted soon
        self.rows[kind] += len(rows)
        joined = parts[0] if len(parts) == 1 else torch.cat(parts)
        self.seconds[kind] += time.perf_counter() - start
        return joined


def finite_rows(rows: torch.Tensor) -> list[bool]:
    """Say of each row whether all its numbers are finite: the one sync of a tick."""
    # A sum carries every NaN and infinity, and is a single pass over the rows.
    return torch.isfinite(rows.flatten(1).sum(dim=1, dtype=torch.float32)).tolist()
