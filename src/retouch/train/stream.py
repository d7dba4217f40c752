"""Rows from pictures in the order of their places: read ahead by worker processes, encoded on the device."""

import logging
import time
from collections.abc import Iterator, Sequence

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from retouch.train.feed import Chunk, FeedSpec, read_ahead
from retouch.train.posteriors import LatentBatch, PictureEncoder, draw_latents
from retouch.train.rows import Place, Share
from retouch.train.transfer import to_device

logger = logging.getLogger(__name__)

MOST_WARNINGS = 20
"""Samples that are named where they are passed over; further ones are counted."""


class PictureStream:
    """An `OrderedSource`: row n of a phase shows picture n of the reader; used by one thread.

    The workers go on from the micro-batch that was asked for last, in the order of steps. Whoever asks for another
    (a resumed run does so once) has them begin anew there.

    Args:
        vae: frozen.
        share: the micro-batches of this process.
        size: side of the pictures in pixels.
        hides: whether masked pictures are wanted; else their latents are 0.
    """

    def __init__(
        self, spec: FeedSpec, vae: AutoencoderKL, *, share: Share, size: int, device: torch.device, hides: bool
    ) -> None:
        self._spec = spec
        self._share = share
        self._device = device
        self._hides = hides
        self._encoder = PictureEncoder(vae, size=size, device=device)
        self._due: Iterator[tuple[int, int]] = iter(())
        self._chunks: Iterator[Chunk] = iter(())
        self._named = 0
        self._waited_s = 0.0
        self._passed_over = 0

    @property
    def cells(self) -> int:
        """Latent cells along one side."""
        return self._encoder.cells

    def batch_at(self, places: Sequence[Place], posterior_noise: Tensor) -> LatentBatch:
        """The examples of one micro-batch, latents drawn with `posterior_noise` (B, 2, 4, h, w)."""
        chunk = self._next(places[0].step, places[0].row // self._share.micro_batch)
        if self._hides:
            posteriors = self._encoder.encode(chunk.images, chunk.masks)
        else:
            posteriors = self._encoder.encode_whole(chunk.images)[:, None]
        noise = to_device(posterior_noise, self._device)[:, : posteriors.shape[1]]
        drawn = draw_latents(posteriors, noise)  # (B, 1 or 2, 4, h, w)
        return LatentBatch(
            latents=drawn[:, 0],
            masked_image_latents=drawn[:, 1] if self._hides else torch.zeros_like(drawn[:, 0]),
            mask=to_device(chunk.masks, self._device)[:, None].float(),
            tokens=chunk.tokens,
        )

    def _next(self, step: int, micro: int) -> Chunk:
        """The pictures of a micro-batch; waits for the workers where they are behind."""
        if next(self._due, None) != (step, micro):
            self._due = self._share.follow(step, micro)
            numbers = (self._share.numbers(*place) for place in self._share.follow(step, micro))
            self._chunks = read_ahead(self._spec, numbers, pin_memory=self._device.type == "cuda")
            next(self._due)
        began = time.monotonic()
        chunk = next(self._chunks)
        self._waited_s += time.monotonic() - began
        self._tell(chunk.passed_over)
        return chunk

    def _tell(self, passed_over: Sequence[str]) -> None:
        self._passed_over += len(passed_over)
        for name in passed_over[: MOST_WARNINGS - self._named]:
            self._named += 1
            logger.warning("passed over %s", name)

    def take_notes(self) -> dict[str, float]:
        """Seconds that were waited for pictures, and samples that were passed over, since this was asked last."""
        notes = {"data_wait_s": self._waited_s, "passed_over": float(self._passed_over)}
        self._waited_s, self._passed_over = 0.0, 0
        return notes
