"""A cache of encoded pictures, as memory maps that a second process may renew while training reads."""

import math
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retouch.errors import ModelError
from retouch.models.options import LoadOptions
from retouch.models.vae import load_vae
from retouch.train.cache_facts import Facts, LatentSpec, check_facts, describe_cache, write_facts
from retouch.train.feed import FeedSpec, read_ahead
from retouch.train.posteriors import LatentBatch, PictureEncoder, draw_latents
from retouch.train.text import MAX_TOKENS, SKETCH_SIDE
from retouch.train.transfer import to_device

GROUP = 16
"""Scenes that are read and encoded together."""
SKETCHES = "sketches"
"""The array that a cache has besides, where scenes may show what their captions do not say."""


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
    facts = describe_cache(spec, vae, tokenizer)  # of the VAE where it works: another device rounds otherwise
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
