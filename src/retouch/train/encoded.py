"""Pictures encoded once: a cache of latents whose key is what they were made from."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from retouch.models.hashing import hash_tensors
from retouch.train.photographs import Cuts, CutSpec, Photograph, cut_photograph
from retouch.train.posteriors import masked_image, posteriors_of, shift_of, to_unit_range

VERSION = 2
"""Another one for every change of what is cut from a picture."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """The examples of one picture.

    Attributes:
        images: (C, 2, 4, h, w) fp16: mean and deviation of each crop's latents, scaled to unit deviation.
        masked: (C, M, 2, 4, h, w) fp16: those of its masked images.
        masks: (C, M, H * W / 8), bits as bytes, 1 = repaint.
    """

    images: Tensor
    masked: Tensor
    masks: Tensor


class PhotographEncoder:
    """The frozen VAE; keeps what it said in a folder, if it has one."""

    def __init__(self, vae: Any, spec: CutSpec, cache: Path | None) -> None:
        self._vae = vae
        self._spec = spec
        self._cache = cache
        self._settings = json.dumps(
            [
                VERSION,
                [spec.shapes, spec.crops, spec.masks],
                hash_tensors(vae.state_dict()),
                [float(vae.config.scaling_factor), shift_of(vae)],
                vae.device.type,  # another kind rounds otherwise
            ]
        )

    def encode(self, photograph: Photograph) -> Encoded:
        """The examples of a picture, from the cache where it was seen before.

        Raises:
            ImageError, MaskError: as `cut_photograph`.
        """
        if self._cache is None:
            return self._encode(cut_photograph(photograph, self._spec))
        key = hashlib.sha256(f"{photograph.digest} {self._settings}".encode()).hexdigest()
        file = self._cache / f"{key}.safetensors"
        with suppress(OSError, SafetensorError, KeyError):  # not there, or cut short: encoded again
            found = load_file(file)
            return Encoded(found["images"], found["masked"], found["masks"])
        encoded = self._encode(cut_photograph(photograph, self._spec))
        self._keep(encoded, file)
        return encoded

    def _keep(self, encoded: Encoded, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f"{file.name}.{os.getpid()}.part")
        save_file({"images": encoded.images, "masked": encoded.masked, "masks": encoded.masks}, partial)
        partial.replace(file)

    def _encode(self, cuts: Cuts) -> Encoded:
        images = to_unit_range(torch.from_numpy(cuts.images))  # (C, 3, H, W)
        masks = torch.from_numpy(cuts.masks)  # (C, M, H, W)
        count, each = masks.shape[:2]
        hidden = masked_image(images.repeat_interleave(each, dim=0), masks.flatten(0, 1)[:, None].float())
        masked = self.posteriors(hidden)
        bits = np.packbits(cuts.masks.reshape(count, each, -1), axis=-1, bitorder="little")
        return Encoded(
            images=self.posteriors(images),
            masked=masked.reshape(count, each, *masked.shape[1:]),
            masks=torch.from_numpy(bits),
        )

    @torch.no_grad()
    def posteriors(self, images: Tensor) -> Tensor:
        """(B, 2, 4, h, w) fp16 on the CPU for images (B, 3, H, W) in [-1, 1]."""
        return posteriors_of(self._vae, images.to(self._vae.device)).half().cpu().contiguous()  # as files have it


def unpack_bits(bits: Tensor, shape: tuple[int, int]) -> Tensor:
    """Masks (B, 1, H, W) in fp32 of bits (B, H * W / 8), on their device."""
    places = torch.arange(8, device=bits.device, dtype=torch.uint8)
    return ((bits[..., None] >> places) & 1).reshape(-1, 1, *shape).float()


def rows_of(encoded: Encoded, masks: int) -> Iterator[tuple[int, int]]:
    """(crop, mask) of each example of a picture, mask counted over all crops: `masks` for each crop, whatever it
    has, so that every picture has as many."""
    count, each = encoded.masks.shape[:2]
    for crop in range(count):
        for turn in range(masks):
            yield crop, crop * each + turn % each
