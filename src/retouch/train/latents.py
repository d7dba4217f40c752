"""A cache of encoded pictures, as memory maps that a second process may renew while training reads."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor

from retouch.data.compose import Split
from retouch.data.mixture import MIXTURES, MixtureName
from retouch.data.shard_index import open_index
from retouch.errors import ModelError
from retouch.models.options import LoadOptions
from retouch.models.vae import load_vae
from retouch.train.cache_facts import Facts, check_facts, describe_cache, write_facts
from retouch.train.feed import FeedSpec, read_ahead
from retouch.train.pictures import PictureReader, SceneReader, ShardPictures
from retouch.train.sketches import to_regions
from retouch.train.text import MAX_TOKENS, SKETCH_SIDE
from retouch.train.transfer import to_device

GROUP = 16
"""Scenes that are read and encoded together."""
CALL_PIXELS = 4 * 512 * 512
"""Most pixels of one call of a VAE on an accelerator, for its memory."""
CPU_CALL_PIXELS = 8 * 128 * 128
"""Most pixels of one on a CPU: what a call's layers write must fit its caches. All 32 pictures of a step at once
take almost twice as long as eight by eight."""
SKETCHES = "sketches"
"""The array that a cache has besides, where scenes may show what their captions do not say."""


@dataclass(frozen=True, slots=True)
class LatentSpec:
    """What a cache is built from, and how large it is."""

    data_dir: Path
    vae_dir: Path
    tokenizer_dir: Path
    folder: Path
    slots: int = 24_576
    size: int = 128
    split: Split = "train"
    seed: int = 0
    mixture: MixtureName = "full"
    words: frozenset[str] | None = None
    """Only objects that these can name; None for all."""
    kind: Literal["scenes", "shards"] = "scenes"
    """What `data_dir` holds. Of `shards` each slot has its own crop and mask; so has a sample's next epoch."""
    full_mask_rate: float = 0.25
    """Of shards; scenes bring their own share."""
    workers: int = 0
    """Processes that read or compose ahead."""
    allow_pickle: bool = False
    """Also read a VAE's pickled weights."""

    @property
    def has_sketches(self) -> bool:
        """Whether scenes may show what their captions do not say."""
        return self.kind == "scenes" and MIXTURES[self.mixture].unnamed > 0.0

    def reader(self) -> Callable[[], PictureReader]:
        """What opens the pictures, in each worker."""
        if self.kind == "shards":
            index = open_index(str(self.data_dir), workers=self.workers)
            rate = self.full_mask_rate
            return partial(ShardPictures, index, size=self.size, full_mask_rate=rate, seed=(self.seed,))
        return partial(
            SceneReader,
            self.data_dir,
            size=self.size,
            mixture=self.mixture,
            seed=(self.seed,),
            split=self.split,
            words=self.words,
        )


@dataclass(frozen=True, slots=True)
class LatentBatch:
    """Rows of training data in fp32; latents are scaled to unit deviation, and on the device of their noise.

    Attributes:
        latents, masked_image_latents: (B, 4, h, w), drawn from their posteriors.
        mask: (B, 1, H, W) pixels, 1 = repaint.
        tokens: (B, T) ids of the captions.
        sketches: (B, SKETCH_SIDE**2, values) regions of latents of what is painted, where captions do not say it;
            NaN where they do. None where they always do.
    """

    latents: Tensor
    masked_image_latents: Tensor
    mask: Tensor
    tokens: Tensor
    sketches: Tensor | None = None


def masked_image(images: Tensor, mask: Tensor) -> Tensor:
    """images (B, 3, H, W) in [-1, 1] with 0 where mask (B, 1, H, W) says repaint, as the SD recipe has it."""
    return images * (mask < 0.5)


def to_unit_range(pictures: Tensor) -> Tensor:
    """(B, H, W, 3) bytes to (B, 3, H, W) in [-1, 1], channels last."""
    return (pictures.permute(0, 3, 1, 2).float() / 127.5 - 1.0).contiguous(memory_format=torch.channels_last)


def open_maps(
    folder: Path,
    *,
    mode: Literal["r", "r+", "w+"],
    slots: int = 0,
    cells: int = 0,
    pixels: int = 0,
    tokens: int = MAX_TOKENS,
    with_sketches: bool = False,
) -> dict[str, NDArray[Any]]:
    """The cache's arrays; `mode` is `w+` to make them (sizes given), `r` or `r+` to open them."""
    posterior = (slots, 2, 2, 4, cells, cells)  # picture and masked picture; mean and deviation
    shapes: dict[str, tuple[type, tuple[int, ...]]] = {
        "posteriors": (np.float16, posterior),
        "masks": (np.uint8, (slots, pixels * pixels // 8)),
        "tokens": (np.int32, (slots, tokens)),  # CLIP's vocabulary has 49,408 of them
        "filled": (np.int64, (2,)),  # slots filled; scenes made in all
    }
    if with_sketches or (mode != "w+" and (folder / f"{SKETCHES}.npy").exists()):
        values = 4 * (cells // SKETCH_SIDE) ** 2
        # First, for the last one says that all are there.
        shapes = {SKETCHES: (np.float16, (slots, SKETCH_SIDE**2, values)), **shapes}
    if mode != "w+":
        return {name: np.load(folder / f"{name}.npy", mmap_mode=mode) for name in shapes}
    folder.mkdir(parents=True, exist_ok=True)
    return {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=dtype, shape=shape)
        for name, (dtype, shape) in shapes.items()
    }


def posteriors_of(vae: AutoencoderKL, images: Tensor) -> Tensor:
    """What a frozen VAE says of images (B, 3, H, W) in [-1, 1]: mean and deviation (B, 2, 4, h, w), without its
    shift and scaled to unit deviation."""
    most = CPU_CALL_PIXELS if images.device.type == "cpu" else CALL_PIXELS
    rows = max(1, most // (images.shape[-2] * images.shape[-1]))
    found = [vae.encode(part).latent_dist for part in torch.split(images, rows)]
    mean = torch.cat([part.mean.float() for part in found]) - shift_of(vae)
    deviation = torch.cat([part.std.float() for part in found])
    scaled: Tensor = torch.stack([mean, deviation], dim=1) * float(vae.config.scaling_factor)
    return scaled


def shift_of(vae: AutoencoderKL) -> float:
    """What is taken from a VAE's latents before they are scaled; most have nothing such."""
    return float(getattr(vae.config, "shift_factor", None) or 0.0)


def draw_latents(posteriors: Tensor, noise: Tensor) -> Tensor:
    """Latents (B, N, 4, h, w) of posteriors (B, N, 2, 4, h, w), drawn with noise (B, N, 4, h, w)."""
    mean, deviation = posteriors.unbind(2)
    return mean + deviation * noise


class PictureEncoder:
    """Pictures to posteriors, with the frozen VAE on a device; used by one thread."""

    def __init__(self, vae: AutoencoderKL, *, size: int, device: torch.device | None = None) -> None:
        self._vae = vae.eval().to(device, memory_format=torch.contiguous_format)
        self._device = vae.device
        self.cells = int(size // 2 ** (len(vae.config.block_out_channels) - 1))
        # In the plain layout: over channels-last tensors PyTorch's norm loses digits of flat pictures.
        self._empty = self._posteriors(torch.zeros(1, 3, size, size, device=vae.device))[0]
        self._vae.to(memory_format=torch.channels_last)

    @torch.no_grad()
    def _posteriors(self, images: Tensor) -> Tensor:
        with torch.autocast("cuda", torch.float16, enabled=self._device.type == "cuda"):
            return posteriors_of(self._vae, images)

    def encode_whole(self, images: Tensor) -> Tensor:
        """Mean and deviation of bytes (B, H, W, 3), scaled to unit deviation: (B, 2, 4, h, w) on the device."""
        return self._posteriors(to_unit_range(to_device(images, self._device)))

    def encode(self, images: Tensor, masks: Tensor) -> Tensor:
        """Picture and masked picture of bytes (B, H, W, 3) and masks (B, H, W), both on the host.

        Returns:
            (B, 2, 2, 4, h, w) on the device: picture and masked picture; mean and deviation.
        """
        partly = to_device((~masks.flatten(1).all(1)).nonzero()[:, 0], self._device)
        pictures = to_unit_range(to_device(images, self._device))
        hidden_pictures = masked_image(pictures, to_device(masks, self._device)[:, None].float())[partly]
        found = self._posteriors(torch.cat([pictures, hidden_pictures]))
        # A picture that is masked everywhere is the same grey for all: encoded once.
        hidden = self._empty.expand(len(images), -1, -1, -1, -1).clone()
        hidden[partly] = found[len(images) :]
        return torch.stack([found[: len(images)], hidden], dim=1)

    def sketches(self, portraits: Mapping[int, Tensor], *, count: int) -> Tensor:
        """Regions of portraits (H, W, 3) bytes by row: (count, SKETCH_SIDE**2, values), NaN without one."""
        found = torch.full((count, SKETCH_SIDE**2, 4 * (self.cells // SKETCH_SIDE) ** 2), torch.nan)
        if portraits:
            found[list(portraits)] = to_regions(self.encode_whole(torch.stack([*portraits.values()]))[:, 0]).cpu()
        return found


def build_latents(
    spec: LatentSpec,
    tokenizer: Any,
    *,
    renew_duty: float = 0.0,
    keep_on: Callable[[], bool] = lambda: True,
    device: torch.device | None = None,
) -> None:
    """Fill the cache; with `renew_duty`, go on replacing its oldest slots, working that share of the time.

    A cache that is partly filled by an earlier call is gone on with. `keep_on` is asked before each group. The VAE
    works on `device`, by default on the CPU.

    Raises:
        InvalidField: the cache that is there was made from something else.
    """
    vae = load_vae(spec.vae_dir, LoadOptions(allow_pickle=spec.allow_pickle))
    encoder = PictureEncoder(vae, size=spec.size, device=device)
    facts = describe_cache(spec, vae, tokenizer)
    if _is_cache(spec.folder):
        maps = open_maps(spec.folder, mode="r+")
        found: Facts = {"slots": len(maps["posteriors"]), "size": _side(maps["masks"]), SKETCHES: SKETCHES in maps}
        check_facts(spec.folder, facts | {SKETCHES: spec.has_sketches}, seen=found)
        write_facts(spec.folder, facts)  # an older cache says all of itself from now on
    else:
        write_facts(spec.folder, facts)
        maps = open_maps(
            spec.folder,
            mode="w+",
            slots=spec.slots,
            cells=encoder.cells,
            pixels=spec.size,
            tokens=tokenizer.model_max_length,
            with_sketches=spec.has_sketches,
        )
    made = int(maps["filled"][1])
    numbers = (range(first, first + GROUP) for first in count(made, GROUP))
    chunks = read_ahead(FeedSpec(spec.reader(), tokenizer, workers=spec.workers), numbers)
    while keep_on() and (made < spec.slots or renew_duty > 0.0):
        started = time.monotonic()
        chunk = next(chunks)
        slots = np.arange(made, made + GROUP) % spec.slots
        maps["posteriors"][slots] = encoder.encode(chunk.images, chunk.masks).half().cpu().numpy()
        maps["masks"][slots] = np.packbits(chunk.masks.numpy().reshape(GROUP, -1), axis=1)
        maps["tokens"][slots] = chunk.tokens.numpy()
        if SKETCHES in maps:
            maps[SKETCHES][slots] = encoder.sketches(chunk.portraits, count=GROUP).numpy()
        maps["filled"][:] = min(made + GROUP, spec.slots), made + GROUP
        if made >= spec.slots:
            time.sleep((time.monotonic() - started) * (1.0 / renew_duty - 1.0))
        made += GROUP


def _is_cache(folder: Path) -> bool:
    """Whether a cache's arrays are there: the one that counts is made last."""
    return (folder / "filled.npy").exists()


def _side(masks: NDArray[np.uint8]) -> int:
    """Pixels along one side of masks (N, H * W / 8) of bits."""
    return math.isqrt(8 * masks.shape[1])


class LatentCache:
    """The reading end. Thread-safe: it only reads."""

    def __init__(self, folder: Path) -> None:
        if not _is_cache(folder):
            raise ModelError(f"{folder} holds no latent cache", hint="make one with `retouch train latents`")
        self._maps = open_maps(folder, mode="r")
        self.size = _side(self._maps["masks"])

    @property
    def cells(self) -> int:
        """Latent cells along one side."""
        return int(self._maps["posteriors"].shape[-1])

    def __len__(self) -> int:
        return int(self._maps["filled"][0])

    def batch(self, pick: Tensor, posterior_noise: Tensor) -> LatentBatch:
        """The examples at `pick` (B,) in [0, 1), their latents drawn with `posterior_noise` (B, 2, 4, h, w)."""
        slots = (pick * len(self)).long().numpy()
        posteriors = to_device(torch.from_numpy(self._maps["posteriors"][slots]), posterior_noise.device).float()
        drawn = draw_latents(posteriors, posterior_noise)
        sketches = self._maps.get(SKETCHES)
        bits = np.unpackbits(self._maps["masks"][slots], axis=1).reshape(-1, 1, self.size, self.size)
        return LatentBatch(
            latents=drawn[:, 0],
            masked_image_latents=drawn[:, 1],
            mask=torch.from_numpy(bits).float(),
            tokens=torch.from_numpy(self._maps["tokens"][slots].astype(np.int64)),
            sketches=None if sketches is None else torch.from_numpy(sketches[slots].astype(np.float32)),
        )


def latent_mask(mask: Tensor, cells: int | tuple[int, int], *, rule: str) -> Tensor:
    """Pixel mask (B, 1, H, W) to latent cells (B, 1, h, w): `nearest` as SD trains, or `cover` (any pixel)."""
    height, width = (cells, cells) if isinstance(cells, int) else cells
    if rule == "cover":
        return F.max_pool2d(mask, kernel_size=mask.shape[-1] // width)
    return F.interpolate(mask, size=(height, width))
