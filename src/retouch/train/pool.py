"""Pools on the training device: pictures or their latents, replaced by new ones while training draws from them.

An example is worth several steps, at other timesteps and with other noise; making one costs more than its row in a
step. So a pool holds many, and its oldest give way as fast as the readers bring new ones.
"""

import atexit
import queue
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Self

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from retouch.train.feed import Chunk
from retouch.train.posteriors import LatentBatch, PictureEncoder, draw_latents, to_unit_range
from retouch.train.transfer import to_device


class Incoming:
    """Chunks that a thread takes from the readers, so that whoever trains can look without waiting."""

    def __init__(self, chunks: Iterator[Chunk], *, depth: int = 8) -> None:
        self._queue: queue.Queue[Chunk | BaseException] = queue.Queue(depth)
        self._is_closing = False
        self._thread = threading.Thread(target=self._take, args=(chunks,), name="retouch-incoming", daemon=True)
        # A thread that the interpreter stops inside a tensor's operation takes the process down with an abort.
        atexit.register(self.close)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take no more chunks, and wait for the one that is under way; its readers end."""
        self._is_closing = True
        while self._thread.is_alive():
            # A worker that is ended while it hands a chunk over may abort, which PyTorch raises wherever this is.
            with suppress(queue.Empty, RuntimeError):
                self._queue.get_nowait()  # the thread may wait for room
            with suppress(RuntimeError):
                self._thread.join(0.05)
        atexit.unregister(self.close)

    def _take(self, chunks: Iterator[Chunk]) -> None:
        try:
            for chunk in chunks:
                self._queue.put(chunk)
                if self._is_closing:
                    return
        except BaseException as error:  # noqa: BLE001  # raised again where chunks are taken
            self._queue.put(error)

    def take(self, *, wait: bool) -> Chunk | None:
        """The next chunk; None where there is none yet and `wait` is False.

        Raises:
            whatever ended the readers.
        """
        try:
            found = self._queue.get(block=wait)
        except queue.Empty:
            return None
        if isinstance(found, BaseException):
            raise found
        return found


class PicturePool:
    """Pictures on a device; used by one thread."""

    def __init__(self, incoming: Incoming, *, slots: int, device: torch.device) -> None:
        self._incoming = incoming
        self._device = device
        self._slots = slots
        self._images: Tensor | None = None
        self.made = 0

    def __len__(self) -> int:
        return min(self.made, self._slots)

    def renew(self, *, wait: bool = False) -> bool:
        """Take a chunk over the oldest pictures, where one has come; with `wait`, when one has come."""
        chunk = self._incoming.take(wait=wait)
        if chunk is None:
            return False
        images = chunk.images.to(self._device, non_blocking=True)
        if self._images is None:
            self._images = images.new_empty(self._slots, *images.shape[1:])
        self._images[_places(self.made, len(images), self._slots, self._device)] = images
        self.made += len(images)
        return True

    def crops(self, generator: torch.Generator, *, count: int, side: int) -> Tensor:
        """Random square crops of random pictures: (count, 3, side, side) in [-1, 1]."""
        assert self._images is not None
        room = self._images.shape[1] - side + 1
        draws = torch.rand(3, count, generator=generator, device=self._device)
        number = (draws[0] * len(self)).long()[:, None, None]
        span = torch.arange(side, device=self._device)
        rows = (draws[1] * room).long()[:, None, None] + span[:, None]
        columns = (draws[2] * room).long()[:, None, None] + span
        return to_unit_range(self._images[number, rows, columns])


class LatentPool:
    """Encoded examples on a device: a `RowSource`; used by one thread.

    Args:
        vae: frozen, on `device`.
        size: side of the pictures in pixels.
        slots: examples kept.
        ready: the fewest before the first batch.
    """

    def __init__(
        self, incoming: Incoming, vae: AutoencoderKL, *, size: int, slots: int, ready: int, device: torch.device
    ) -> None:
        self._incoming = incoming
        self._encoder = PictureEncoder(vae, size=size, device=device)
        self._device = device
        self._slots = slots
        self._ready = min(ready, slots)
        self.cells = cells = self._encoder.cells
        self.made = 0
        # Picture and masked picture; mean and deviation.
        self._posteriors = torch.empty(slots, 2, 2, 4, cells, cells, dtype=torch.float16, device=device)
        self._masks = torch.empty(slots, size, size, dtype=torch.bool, device=device)
        self._tokens: Tensor | None = None

    def __len__(self) -> int:
        return min(self.made, self._slots)

    def _renew(self, *, wait: bool) -> bool:
        chunk = self._incoming.take(wait=wait)
        if chunk is None:
            return False
        tokens = to_device(chunk.tokens, self._device)
        if self._tokens is None:
            self._tokens = tokens.new_empty(self._slots, tokens.shape[1])
        where = _places(self.made, len(tokens), self._slots, self._device)
        self._posteriors[where] = self._encoder.encode(chunk.images, chunk.masks).half()
        self._masks[where] = to_device(chunk.masks, self._device)
        self._tokens[where] = tokens
        self.made += len(tokens)
        return True

    def batch(self, pick: Tensor, posterior_noise: Tensor) -> LatentBatch:
        """The examples at `pick` (B,) in [0, 1), latents drawn with `posterior_noise` (B, 2, 4, h, w); first, what
        has come is taken in."""
        while self.made < self._ready:
            self._renew(wait=True)
        self._renew(wait=False)
        slots = to_device((pick * len(self)).long(), self._device)
        drawn = draw_latents(self._posteriors[slots].float(), posterior_noise.to(self._device))
        assert self._tokens is not None
        return LatentBatch(
            latents=drawn[:, 0],
            masked_image_latents=drawn[:, 1],
            mask=self._masks[slots][:, None].float(),
            tokens=self._tokens[slots],
        )


def _places(made: int, count: int, slots: int, device: torch.device) -> Tensor:
    """The slots of the next `count` examples, round and round."""
    return torch.arange(made, made + count, device=device) % slots
