"""Rows from pictures that are encoded as they come: composed scenes, or tar shards of pictures and captions."""

import logging
import tarfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from retouch.data import masks
from retouch.data.compose import SceneComposer
from retouch.data.mixture import MIXTURES, MixtureName
from retouch.data.pixels import TRAINING_LIMITS, rgb_pixels
from retouch.data.shards import PICTURES, expand
from retouch.errors import ImageError, ModelError
from retouch.train.latents import LatentBatch, masked_image, to_unit_range
from retouch.train.text import encode_captions

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MaskedPicture:
    """image (H, W, 3) bytes; mask (H, W), True = repaint; both of the same crop."""

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    caption: str


class PictureReader(Protocol):
    """Pictures by a number in [0, 1): the same number, the same picture, crop and mask."""

    def read(self, pick: float) -> MaskedPicture:
        """The picture at `pick`."""


def _rng(pick: float) -> np.random.Generator:
    """A generator that depends on every bit of `pick`."""
    return np.random.default_rng(int(pick * 2**53))


class SceneReader:
    """Composed scenes; the composer brings its own masks."""

    def __init__(self, folder: Path, *, size: int, mixture: MixtureName = "full") -> None:
        self._composer = SceneComposer.open(folder, size=size, split="train", mixture=MIXTURES[mixture])

    def read(self, pick: float) -> MaskedPicture:
        scene = self._composer.scene(_rng(pick))
        return MaskedPicture(scene.image, scene.mask, scene.caption)


@lru_cache(maxsize=64)
def index_shard(path: Path) -> tuple[dict[str, tuple[int, int]], ...]:
    """The samples of a WebDataset shard with a picture and a `.txt`: (offset, size) of each file by its ending."""
    samples: dict[str, dict[str, tuple[int, int]]] = {}
    with tarfile.open(path) as archive:
        for info in archive:
            if info.isfile():
                folder, _, base = info.name.rpartition("/")
                stem, _, ending = base.partition(".")
                samples.setdefault(f"{folder}/{stem}", {})[ending.lower()] = (info.offset_data, info.size)
    return tuple(files for files in samples.values() if "txt" in files and any(kind in files for kind in PICTURES))


class ShardPictures:
    """Random access to WebDataset tar files on a mounted disk; draws with replacement.

    Random access, not a stream: the place of a row alone says which picture it is, so a run resumes exactly and
    any number of processes reads the same pictures. A shard is indexed when it is first touched.

    Raises:
        BadInput: the folder holds no shards.
    """

    def __init__(self, folder: Path, *, size: int, full_mask_rate: float) -> None:
        self._shards = [Path(shard) for shard in expand(str(folder))]
        self._size = size
        self._full_mask_rate = full_mask_rate

    def read(self, pick: float) -> MaskedPicture:
        """The picture at `pick`; one that cannot be decoded gives way to another, the same one each time.

        Raises:
            ModelError: twenty in a row are broken.
        """
        rng = _rng(pick)
        for _ in range(20):
            shard = self._shards[int(rng.integers(len(self._shards)))]
            samples = index_shard(shard)
            files = samples[int(rng.integers(len(samples)))]
            try:
                return self._masked(shard, files, rng)
            except ImageError as error:
                logger.warning("passed over a picture of %s: %s", shard.name, error.code)
        raise ModelError("the shards hold hardly any picture that can be decoded")

    def _masked(self, shard: Path, files: dict[str, tuple[int, int]], rng: np.random.Generator) -> MaskedPicture:
        with shard.open("rb") as file:
            content = {
                kind: _slice(file, part) for kind, part in files.items() if part[1] <= TRAINING_LIMITS.image_bytes
            }
        kind = next((kind for kind in PICTURES if kind in content), None)
        if kind is None:
            raise ImageError("the file is too large")
        pixels = Image.fromarray(rgb_pixels(content[kind], TRAINING_LIMITS))
        # The mask is drawn after the crop: one crop for both, or the model learns to ignore masks.
        image = np.asarray(random_square(pixels, self._size, rng))
        mask = draw_mask(rng, self._size, full_rate=self._full_mask_rate)
        return MaskedPicture(image, mask, content["txt"].decode("utf-8", errors="replace").strip())


def _slice(file: BinaryIO, part: tuple[int, int]) -> bytes:
    file.seek(part[0])
    return file.read(part[1])


def random_square(image: Image.Image, size: int, rng: np.random.Generator) -> Image.Image:
    """A square as large as the shorter side, anywhere along the longer one, scaled to `size`."""
    side = min(image.size)
    left = int(rng.integers(image.width - side + 1))
    top = int(rng.integers(image.height - side + 1))
    return image.resize((size, size), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side))


def draw_mask(rng: np.random.Generator, size: int, *, full_rate: float) -> NDArray[np.bool_]:
    """Everything with probability `full_rate`; else strokes (medium or thick), or a box, in equal parts."""
    if rng.random() < full_rate:
        return masks.full((size, size))
    kind = int(rng.integers(3))
    if kind == 0:
        return masks.random_box(rng, (size, size))
    return masks.irregular(rng, (size, size), "medium" if kind == 1 else "thick")


class EncodedPictures:
    """A `RowSource` that encodes pictures with the frozen VAE as they are asked for."""

    def __init__(self, reader: PictureReader, vae: AutoencoderKL, tokenizer: Any, *, size: int) -> None:
        self._reader = reader
        self._vae = vae
        self._tokenizer = tokenizer
        self._size = size
        self._factor = 2 ** (len(vae.config.block_out_channels) - 1)

    @property
    def cells(self) -> int:
        """Latent cells along one side."""
        return int(self._size // self._factor)

    @torch.inference_mode()
    def _encode(self, images: Tensor, noise: Tensor) -> Tensor:
        posterior = self._vae.encode(images.to(self._vae.device)).latent_dist
        latents: Tensor = (
            posterior.mean.cpu() + posterior.std.cpu() * noise.cpu()
        ) * self._vae.config.scaling_factor
        return latents

    def batch(self, pick: Tensor, posterior_noise: Tensor) -> LatentBatch:
        """The examples at `pick` (B,) in [0, 1), their latents drawn with `posterior_noise` (B, 2, 4, h, w)."""
        found = [self._reader.read(number) for number in pick.tolist()]
        images = to_unit_range(torch.from_numpy(np.stack([picture.image for picture in found])))
        mask = torch.from_numpy(np.stack([picture.mask for picture in found]))[:, None].float()
        return LatentBatch(
            latents=self._encode(images, posterior_noise[:, 0]).clone(),
            masked_image_latents=self._encode(masked_image(images, mask), posterior_noise[:, 1]).clone(),
            mask=mask,
            tokens=encode_captions(self._tokenizer, [picture.caption for picture in found]),
        )
