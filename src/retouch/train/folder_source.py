"""Rows from a folder of pictures: all encoded before the first step, and drawn on the training device."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from retouch.data.folder import FolderItem
from retouch.errors import BadInput, ImageError, InvalidField
from retouch.models.assemble import geometry
from retouch.models.components import Components
from retouch.train.agreement import Agreement
from retouch.train.config import DataConfig, PhaseConfig
from retouch.train.crops import Shape, shapes
from retouch.train.encoded import Encoded, PhotographEncoder, rows_of, unpack_bits
from retouch.train.photographs import Cuts, CutSpec, cut_photograph, read_photograph
from retouch.train.posteriors import LatentBatch, draw_latents
from retouch.train.rows import Place
from retouch.train.text import encode_captions

logger = logging.getLogger(__name__)

PICTURES_AT_ONCE = 64
"""So many each of several processes encodes before it hands them to the others."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """The examples of one shape, on the training device.

    Attributes:
        images: (E, 2, 4, h, w), masked: (V, 2, 4, h, w), bits: (V, H * W / 8).
        rows: (R, 3), numbers of image, masked image and caption of each example.
        tokens: (P, T) of each picture's caption.
        empty: (2, 4, h, w), the masked image of a mask that covers everything.
    """

    shape: Shape
    images: Tensor
    masked: Tensor
    bits: Tensor
    rows: Tensor
    tokens: Tensor
    empty: Tensor


def cut_spec(data: DataConfig, parts: Components) -> CutSpec:
    """How the pictures of a folder are cut for a checkpoint.

    Raises:
        InvalidField: the size does not suit the UNet.
    """
    model = geometry(parts.unet.config, parts.vae.config)
    size = data.given_size or model.native_size
    if size % model.size_multiple:
        raise InvalidField("data.size", f"{size} does not divide by {model.size_multiple}")
    found = shapes(size, model.size_multiple) if data.pictures.shapes == "buckets" else [(size, size)]
    return CutSpec(tuple(found), data.pictures.crops, data.pictures.masks)


class FolderLatents:
    """Encoded pictures in buckets of one shape each: a `ShapedSource`. It only reads."""

    def __init__(self, buckets: Sequence[Bucket], *, full_mask_rate: float) -> None:
        self._buckets = {tuple(bucket.images.shape[-2:]): bucket for bucket in buckets}
        self._full_mask_rate = full_mask_rate
        sizes = np.array([len(bucket.rows) for bucket in buckets], dtype=float)
        self._ends = np.cumsum(sizes / sizes.sum())

    def __len__(self) -> int:
        """The examples, masks counted apart."""
        return sum(len(bucket.rows) for bucket in self._buckets.values())

    @property
    def cells(self) -> int:
        """Latent cells along the longest side."""
        return max(side for shape in self._buckets for side in shape)

    def shape_at(self, place: Place) -> tuple[int, int]:
        """Latent cells (h, w) of the micro-batch whose first row stands here; a bucket comes up as often as its
        share of the pictures."""
        rng = np.random.default_rng((place.seed, place.phase, place.step, place.row))
        number = min(int(np.searchsorted(self._ends, rng.random(), side="right")), len(self._ends) - 1)
        height, width = list(self._buckets)[number]
        return height, width

    def batch(self, pick: Tensor, posterior_noise: Tensor) -> LatentBatch:
        """The examples at `pick` (B,) in [0, 1) of the bucket whose shape the noise (B, 2, 4, h, w) has."""
        bucket = self._buckets[tuple(posterior_noise.shape[-2:])]
        device = bucket.images.device
        # What the number of the row leaves of a pick is a uniform number again: it says which masks are full.
        place = pick.to(device) * len(bucket.rows)
        row = place.long().clamp(max=len(bucket.rows) - 1)
        is_full = (place - row < self._full_mask_rate)[:, None, None, None]
        image, masked, caption = bucket.rows[row].unbind(1)
        hidden = torch.where(is_full[..., None], bucket.empty, bucket.masked[masked])
        posteriors = torch.stack([bucket.images[image], hidden], dim=1).float()
        drawn = draw_latents(posteriors, posterior_noise.to(device))
        return LatentBatch(
            latents=drawn[:, 0],
            masked_image_latents=drawn[:, 1],
            mask=unpack_bits(bucket.bits[masked], bucket.shape).masked_fill(is_full, 1.0),
            tokens=bucket.tokens[caption],
        )


def open_folder(
    items: Sequence[FolderItem],
    phase: PhaseConfig,
    parts: Components,
    device: torch.device,
    *,
    agreement: Agreement | None = None,
) -> FolderLatents:
    """Encode pictures on `device`, or take them from the cache.

    Broken ones are left out, and named in a warning.

    Args:
        agreement: of processes that all open the folder now; each encodes its part.

    Raises:
        BadInput: none is left; or a mask is empty or of another size than its picture.
    """
    spec = cut_spec(phase.data, parts)
    encoder = PhotographEncoder(parts.vae.to(device), spec, phase.data.pictures.cache)

    def encode(item: FolderItem) -> Encoded | ImageError:
        try:
            return encoder.encode(read_photograph(item))
        except ImageError as error:
            return error

    if agreement is None:
        outcomes = [encode(item) for item in items]
    else:
        outcomes = agreement.dealt_out(items, encode, at_once=PICTURES_AT_ONCE)
    found: list[tuple[Encoded, str]] = []
    broken: list[str] = []
    for item, outcome in zip(items, outcomes, strict=True):
        if isinstance(outcome, Encoded):
            found.append((outcome, item.caption))
        else:
            broken.append(f"{item.image.name} ({outcome})")
    if broken:
        logger.warning("left out %d of %d pictures: %s", len(broken), len(items), "; ".join(broken))
    if not found:
        raise BadInput(f"{phase.data.folder} holds no picture that can be read", hint="; ".join(broken[:3]))
    by_shape: dict[Shape, list[tuple[Encoded, str]]] = {}
    factor = 2 ** (len(parts.vae.config.block_out_channels) - 1)
    for encoded, caption in found:
        height, width = encoded.images.shape[-2:]
        by_shape.setdefault((height * factor, width * factor), []).append((encoded, caption))
    buckets = [
        _bucket(shape, pictures, encoder, parts, masks=spec.masks, device=device)
        for shape, pictures in sorted(by_shape.items())
    ]
    return FolderLatents(buckets, full_mask_rate=phase.full_mask_rate)


def _bucket(
    shape: Shape,
    pictures: list[tuple[Encoded, str]],
    encoder: PhotographEncoder,
    parts: Components,
    *,
    masks: int,
    device: torch.device,
) -> Bucket:
    rows: list[tuple[int, int, int]] = []
    images = masked = 0
    for number, (encoded, _) in enumerate(pictures):
        rows += [(images + image, masked + mask, number) for image, mask in rows_of(encoded, masks)]
        images += len(encoded.images)
        masked += encoded.masks.shape[0] * encoded.masks.shape[1]
    return Bucket(
        shape=shape,
        images=torch.cat([encoded.images for encoded, _ in pictures]).to(device),
        masked=torch.cat([encoded.masked.flatten(0, 1) for encoded, _ in pictures]).to(device),
        bits=torch.cat([encoded.masks.flatten(0, 1) for encoded, _ in pictures]).to(device),
        rows=torch.tensor(rows).to(device),
        tokens=encode_captions(parts.tokenizer, [caption for _, caption in pictures]).to(device),
        empty=encoder.posteriors(torch.zeros(1, 3, *shape))[0].to(device),
    )


def first_cuts(items: Sequence[FolderItem], data: DataConfig, parts: Components) -> list[tuple[Cuts, str]]:
    """Each picture whole with one mask, and its caption; broken ones are left out."""
    spec = cut_spec(data, parts)
    found = []
    for item in items:
        try:
            found.append((cut_photograph(read_photograph(item), CutSpec(spec.shapes, 1, 1)), item.caption))
        except ImageError:
            continue
    return found
