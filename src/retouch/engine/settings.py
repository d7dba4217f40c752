"""Settings of the engine: how it packs calls, and how much may wait."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retouch.models.bundle import ModelBundle

ROWS_PER_PICTURE = 4
"""UNet rows for each picture of a VAE call."""
_DECODER_MAPS = 8
_MEMORY_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How one engine packs calls, and how much may wait.

    Attributes:
        rows_per_call: 0 packs up to the bundle's row cap; R pads every UNet call to exactly R rows, so that a
            picture's bits do not depend on its company.
        vae_rows: most pictures in one VAE call, to which calls are padded where `rows_per_call` is fixed; 0 is a
            picture for `ROWS_PER_PICTURE` rows of the UNet: in the VAE it weighs several times a row.
        max_queued_rows: UNet rows of all who are not done.
        max_queued_bytes: memory of the pictures of all who are not done.
        active_calls: UNet calls' worth of rows that take turns; who comes later waits for a place. More of them
            means shorter waits for a first step and longer ones for the last.
        remembered_prompts: embeddings that are kept for prompts that come again.
        remembered_pictures: posteriors that are kept for pictures that come again with the same mask.
        engines: so many share the CPU's threads among them, and each makes calls of its own.
        is_tuned: run faster layers where there are some for the device; the numbers differ by rounding only.
    """

    rows_per_call: int = 0
    vae_rows: int = 0
    max_queued_rows: int = 256
    max_queued_bytes: int = 2 * 2**30
    active_calls: int = 4
    remembered_prompts: int = 64
    remembered_pictures: int = 64
    engines: int = 1
    is_tuned: bool = True

    def rows_at_once(self, row_cap: int) -> int:
        """Return the rows of one call of every engine; where none are fixed, a call has up to `row_cap`."""
        return self.engines * (self.rows_per_call or row_cap)


def rows_within(memory_bytes: int, bundle: "ModelBundle") -> int:
    """Return the largest power of two of rows, from 2 to the knee, whose calls fit a device's memory.

    What needs most is the VAE's decoder, at its full size: some feature maps of its second narrowest width (eight,
    an estimate from above, with what convolutions work in). Pictures may be of twice the native side; weights
    and all else have the share that is left.
    """
    widths: Sequence[int] = bundle.vae.config.block_out_channels
    pixels = (2 * bundle.native_size) ** 2
    picture = _DECODER_MAPS * widths[min(1, len(widths) - 1)] * pixels * bundle.vae_dtype.itemsize
    fitting = int(ROWS_PER_PICTURE * memory_bytes * _MEMORY_SHARE / picture)
    return 1 << (max(2, min(fitting, bundle.row_knee)).bit_length() - 1)
