"""Calls of the models: rows packed into one tensor, padded where asked, and taken apart again."""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import Protocol, Self, TypeVar

import torch
from diffusers import AsymmetricAutoencoderKL, AutoencoderKL

from retouch.engine.conditioning import Conditioning
from retouch.engine.layers.scratch import Scratch
from retouch.engine.layers.tuning import Tuning
from retouch.engine.scheduler import CallSizes, Stage
from retouch.engine.settings import EngineSettings
from retouch.engine.team import Team
from retouch.engine.text_stack import TextStack
from retouch.engine.tune import tuned
from retouch.engine.yielding import threads_now
from retouch.models.bundle import ModelBundle
from retouch.prompts import Prompt

Kept = tuple[torch.Tensor, torch.Tensor]
"""A picture, (3, H, W) in [-1, 1], and its mask, (1, H, W), 1 = repaint: its kept pixels are the rest."""


class _Rows(Protocol):
    """What a call returns: rows in a sequence or a tensor."""

    def __getitem__(self, rows: slice, /) -> Self: ...


T = TypeVar("T")
R = TypeVar("R", bound=_Rows)


@dataclass(frozen=True, slots=True, eq=False)
class UnetRow:
    """One row of a UNet call.

    Attributes:
        sample: (C, h, w) scaled latents; with mask (1) and masked image latents behind them for `concat`.
        timestep: the UNet's, whole or fractional.
        conditioning: what the text tells, one row.
        guidance: (G,) embedding of the guidance scale, for distilled UNets that take one.
    """

    sample: torch.Tensor
    timestep: float
    conditioning: Conditioning
    guidance: torch.Tensor | None = None


class ModelCalls:
    """The models of one bundle, called in rows. Used by the engine's thread alone.

    Attributes:
        sizes: how many rows go into a call.
        seconds: time inside the models, by kind.
        rows: rows that were asked for, by kind, without padding.
        calls: calls that were made, by kind.
    """

    def __init__(
        self, bundle: ModelBundle, settings: EngineSettings, *, threads: Callable[[int], int] = threads_now
    ) -> None:
        """Call the models of a bundle, on `threads(most)` of the threads that there are."""
        self._bundle = bundle
        self._team = Team(threads if bundle.device.type == "cpu" else lambda most: most, engines=settings.engines)
        self.sizes = CallSizes(settings, row_cap=bundle.row_cap)
        self.seconds: dict[Stage, float] = dict.fromkeys(Stage, 0.0)
        self.rows: Counter[Stage] = Counter()
        self.calls: Counter[Stage] = Counter()
        self._text = TextStack(bundle)
        self._contexts = Contexts(settings.active_calls)
        self._unet, self._vae, self._scratch = bundle.unet, bundle.vae, Scratch()
        if settings.is_tuned:
            owns_residuals, most = type(bundle.vae) is AutoencoderKL, torch.get_num_threads()
            self._unet = tuned(bundle.unet, Tuning(owns_residuals=False, threads=most), self._scratch)
            self._vae = tuned(bundle.vae, Tuning(owns_residuals=owns_residuals, threads=most), self._scratch)

    @property
    def row_s(self) -> float | None:
        """Seconds that a UNet's row has cost so far, or None."""
        made = self.rows[Stage.STEP]
        return self.seconds[Stage.STEP] / made if made else None

    def embed(self, prompts: Sequence[Prompt]) -> list[Conditioning]:
        """Return what each prompt tells the UNet, one row each, as long as it has chunks."""
        cut = [self._text.cut(prompt) for prompt in prompts]
        parts = self._in_calls(Stage.TEXT, list(chain(*cut)), lambda chunks: self._text.encode(chunks).rows())
        rows = chain.from_iterable(parts)
        return [Conditioning.strung(list(islice(rows, len(chunks)))) for chunks in cut]

    def encode(self, pictures: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the posterior's (rows, 2 C, h, w) fp32: mean, then log variance, unscaled.

        Of a VAE without a posterior (`AutoencoderTiny`) it is the latents alone, (rows, C, h, w).

        Args:
            pictures: (3, H, W) in [-1, 1].
        """

        def call(rows: Sequence[torch.Tensor]) -> torch.Tensor:
            encoded = self._vae.encode(self._pack(rows, self._bundle.vae_dtype))
            found: torch.Tensor = (
                encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.parameters
            )
            return found.float()

        return self._in_team(Stage.PICTURES, pictures, call, shape=lambda row: row.shape)

    def predict(self, rows: Sequence[UnetRow], *, is_guided: bool = True) -> torch.Tensor:
        """Return the UNet's (rows, C, h, w) predictions, fp32; `is_guided` as for `CallSizes.most_rows`."""

        def call(rows: Sequence[UnetRow]) -> torch.Tensor:
            sample = self._pack([row.sample for row in rows], self._bundle.dtype)
            timesteps = torch.tensor([row.timestep for row in rows], dtype=torch.float32).to(self._bundle.device)
            guidance = [row.guidance for row in rows if row.guidance is not None]
            prediction: torch.Tensor = self._unet(
                sample,
                timesteps,
                timestep_cond=torch.stack(guidance) if guidance else None,
                return_dict=False,
                **self._contexts.packed([row.conditioning for row in rows]).unet_inputs(),
            )[0]
            return prediction.float()

        size = self.sizes.most_rows(Stage.STEP, is_guided=is_guided)
        return self._in_team(
            Stage.STEP, rows, call, shape=lambda row: (row.sample.shape, row.conditioning.key), size=size
        )

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
        return self._in_team(Stage.DECODE, list(zip(latents, seen)), call, shape=lambda row: row[0].shape)

    def rest(self) -> None:
        """Give back the memory that only the next call of the same rows would use."""
        self._contexts.clear()
        self._scratch.clear()

    def _pack(self, rows: Sequence[torch.Tensor], dtype: torch.dtype) -> torch.Tensor:
        packed = torch.stack(tuple(rows)).to(device=self._bundle.device, dtype=dtype)
        return packed.contiguous(memory_format=torch.channels_last)

    def _in_team(
        self,
        kind: Stage,
        rows: Sequence[T],
        call: Callable[[Sequence[T]], torch.Tensor],
        *,
        shape: Callable[[T], Hashable],
        size: int | None = None,
    ) -> torch.Tensor:
        """Return what becomes of all rows, in calls that other work may leave fewer threads.

        Args:
            shape: of a row; calls of as many rows of one shape compute the same way.
        """

        def shared(rows: Sequence[T]) -> torch.Tensor:
            def afresh() -> torch.Tensor:
                self._contexts.clear()  # else one would take the keys and values that the other has computed
                return call(rows)

            return self._team.run((kind, len(rows), shape(rows[0])), partial(call, rows), afresh)

        parts = self._in_calls(kind, rows, shared, size=size)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _in_calls(
        self, kind: Stage, rows: Sequence[T], call: Callable[[Sequence[T]], R], *, size: int | None = None
    ) -> list[R]:
        """Return the rows of each call, without padding."""
        start = time.perf_counter()
        size = size or self.sizes.most_rows(kind)
        parts = []
        try:
            for chunk in chunks(rows, size):
                # Padding repeats a row: its result is dropped, its cost is the price of bits that never change.
                padded = [*chunk, *[chunk[-1]] * (size - len(chunk))] if self.sizes.is_fixed else chunk
                parts.append(call(padded)[: len(chunk)])
                self.calls[kind] += 1
        finally:
            if kind in (Stage.PICTURES, Stage.DECODE):
                self._scratch.clear()  # a VAE's is as large as its feature maps; a step's is wanted soon
        self.rows[kind] += len(rows)
        self.seconds[kind] += time.perf_counter() - start
        return parts


class Contexts:
    """What the text tells the rows of the latest calls, packed. Used by the engine's thread alone.

    Rows that go on together bring the same conditioning to every step. Packed once, its tensors are the same each
    time, by which a tuned UNet knows that their keys and values have not changed either.
    """

    def __init__(self, size: int) -> None:
        """Keep what the last `size` companies of rows share (one at least); what came of it goes with them."""
        self._size = max(1, size)
        self._known: OrderedDict[tuple[int, ...], tuple[tuple[Conditioning, ...], Conditioning]] = OrderedDict()

    def clear(self) -> None:
        """Let all go, and with them what was made of them."""
        self._known.clear()

    def packed(self, rows: Sequence[Conditioning]) -> Conditioning:
        """Return all rows as one; the very same one for the very same rows."""
        key = tuple(id(one) for one in rows)
        # An entry holds its rows, so that no other value can come to have their ids.
        if key not in self._known:
            self._known[key] = tuple(rows), Conditioning.joined(rows)
        self._known.move_to_end(key)
        while len(self._known) > self._size:
            self._known.popitem(last=False)
        return self._known[key][1]


def chunks(rows: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Cut rows into calls of at most `size`."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def finite_rows(rows: torch.Tensor) -> list[bool]:
    """Say of each row whether all its numbers are finite: the one sync of a tick."""
    # A sum carries every NaN and infinity, and is a single pass over the rows.
    return torch.isfinite(rows.flatten(1).sum(dim=1, dtype=torch.float32)).tolist()
