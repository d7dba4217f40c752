"""Scenes as a checkpoint paints them, and what its decoder should make of that.

A denoiser's latents are not an encoder's: where it is unsure its edges are ragged and its details run together. A
decoder that learnt from encoded pictures alone shows that as it is; it can learn to mend it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from retouch.data.compose import Scene, SceneComposer
from retouch.errors import ModelUnsupported
from retouch.imaging.save import write_atomically
from retouch.models.components import Components
from retouch.models.schedulers import own_scheduler
from retouch.models.vae import seen_by_decoder
from retouch.train.posteriors import latent_mask, masked_image, posteriors_of, to_unit_range
from retouch.train.surgery import INPAINT_CHANNELS
from retouch.train.text import encode_captions

AT_ONCE = 16
STARTS = (0.0, 0.25, 0.375, 0.5)
"""Shares of the steps after which painting begins, scene by scene: with pure noise, or with the scene's noised
latents, whose light and place are then its own."""
OBJECT, GROUND = 2, 1
"""Of `holes`: where the object is, and the rest of the hole."""
_SCHEDULER = "DDIMScheduler"
_SEEN = 8
"""Opacity above which a pixel is the object's."""


@dataclass(frozen=True, slots=True)
class PaintedScenes:
    """Arrays of a folder, one entry for each scene.

    Attributes:
        latents: (N, 4, h, w) fp16, as the checkpoint painted them.
        targets: (N, H, W, 3) bytes, as they should be decoded.
        holes: (N, H, W) bytes: 0 where pixels are kept, else `GROUND` or `OBJECT`.
    """

    latents: NDArray[np.float16]
    targets: NDArray[np.uint8]
    holes: NDArray[np.uint8]

    @classmethod
    def open(cls, folder: Path) -> Self:
        return cls(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("latents", "targets", "holes")))

    def __len__(self) -> int:
        return len(self.latents)


class ScenePainter:
    """A checkpoint with its own scheduler, steps and guidance, on the CPU.

    Raises:
        ModelUnsupported: its UNet does not inpaint, or its scheduler remembers steps, which rows that begin at
            different ones do not share.
    """

    def __init__(self, parts: Components) -> None:
        if (
            parts.unet.config.in_channels != INPAINT_CHANNELS
            or parts.scheduler_config["_class_name"] != _SCHEDULER
        ):
            raise ModelUnsupported(f"only a UNet of {INPAINT_CHANNELS} channels with a {_SCHEDULER} paints scenes")
        advice = parts.notes.recommended
        self._parts = parts
        self._scheduler = own_scheduler(parts.scheduler_config)
        self._scheduler.set_timesteps(advice.num_inference_steps or 20)
        self._guidance = 1.0 if advice.guidance_scale is None else advice.guidance_scale
        self._unasked = self._embed([""])

    @torch.inference_mode()
    def paint(self, scenes: Sequence[Scene], starts: Sequence[float], *, seed: int) -> tuple[Tensor, Tensor]:
        """Paint the scenes' holes.

        Args:
            starts: of each scene, the share of the steps that its own latents stand for.

        Returns:
            latents (B, 4, h, w), and targets (B, 3, H, W) in [-1, 1].
        """
        images = to_unit_range(torch.from_numpy(np.stack([scene.image for scene in scenes])))
        holes = torch.from_numpy(np.stack([scene.mask for scene in scenes]))[:, None].float()
        asked = self._embed([scene.caption for scene in scenes])
        latents = self._denoised(images, holes, asked, starts, seed=seed)
        vae = self._parts.vae
        kept = seen_by_decoder(vae, images, holes)
        decoded = vae.decode(latents / vae.config.scaling_factor, **kept).sample
        return latents, wanted(decoded, images, holes, torch.from_numpy(_shown(scenes))[:, None].float())

    def _denoised(
        self, images: Tensor, holes: Tensor, asked: Tensor, starts: Sequence[float], *, seed: int
    ) -> Tensor:
        truth = posteriors_of(self._parts.vae, images)[:, 0]
        seen = posteriors_of(self._parts.vae, masked_image(images, holes))[:, 0]
        cells = latent_mask(holes, (truth.shape[-2], truth.shape[-1]), rule="nearest")
        noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(seed))
        timesteps = self._scheduler.timesteps
        begins = torch.tensor([round(start * len(timesteps)) for start in starts])
        latents: Tensor = noise * self._scheduler.init_noise_sigma
        for number, timestep in enumerate(timesteps):
            begun = (begins == number) & (number > 0)
            latents[begun] = self._scheduler.add_noise(truth[begun], noise[begun], timestep[None])
            on = begins <= number
            if not on.any():
                continue
            rows = self._scheduler.scale_model_input(latents[on], timestep)
            given = torch.cat([rows, cells[on], seen[on]], dim=1).repeat(2, 1, 1, 1)
            prompts = torch.cat([self._unasked.expand_as(asked[on]), asked[on]])
            free, guided = self._parts.unet(given, timestep, encoder_hidden_states=prompts).sample.chunk(2)
            prediction = free + self._guidance * (guided - free)
            latents[on] = self._scheduler.step(prediction, timestep, latents[on]).prev_sample
        return latents

    @torch.inference_mode()
    def _embed(self, captions: list[str]) -> Tensor:
        embeds: Tensor = self._parts.text_encoder(encode_captions(self._parts.tokenizer, captions))[0]
        return embeds


def _shown(scenes: Sequence[Scene]) -> NDArray[np.bool_]:
    """(B, H, W), where the objects are."""
    return np.stack([scene.object_alpha > _SEEN for scene in scenes])


def wanted(decoded: Tensor, images: Tensor, holes: Tensor, shown: Tensor) -> Tensor:
    """What painted latents should be decoded as: the object with the detail of the scene and the light and colours
    that were painted, the ground as it was painted, and what is kept as it is.

    Args:
        decoded, images: (B, 3, H, W) in [-1, 1]: the painted latents as they are decoded so far, and the scenes.
        holes, shown: (B, 1, H, W) in 0..1: where the hole is, and the object.
    """
    near = with_rim(shown) * holes
    # What is painted differs from the scene in light, which no decoder can know, and in detail, which it can mend.
    light = _blurred((decoded - images) * near, 10.0) / _blurred(near, 10.0).clamp(min=1e-3)
    share = torch.maximum(_blurred(near, 2.0), near)
    inside = share * (images + light) + (1.0 - share) * decoded
    return torch.where(holes > 0.5, inside, images).clamp(-1.0, 1.0)


def with_rim(shown: Tensor, *, pixels: int = 2) -> Tensor:
    """(B, 1, H, W) in 0..1 with so many pixels more on each side."""
    return F.max_pool2d(shown, 2 * pixels + 1, stride=1, padding=pixels)


def _blurred(picture: Tensor, sigma: float) -> Tensor:
    """A Gaussian of this deviation over (B, C, H, W); beyond the border is nothing."""
    reach, channels = round(3 * sigma), picture.shape[1]
    kernel = torch.exp(-(torch.arange(-reach, reach + 1.0) ** 2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(channels, 1, 1, -1)
    across = F.conv2d(picture, kernel, padding=(0, reach), groups=channels)
    blurred: Tensor = F.conv2d(across, kernel.transpose(2, 3), padding=(reach, 0), groups=channels)
    return blurred


def paint_scenes(parts: Components, composer: SceneComposer, folder: Path, *, count: int, seed: int = 0) -> None:
    """Fill a folder with `count` painted scenes; one that was interrupted is gone on with."""
    factor = 2 ** (len(parts.vae.config.block_out_channels) - 1)
    maps = _maps(folder, count, composer.size, cells=composer.size // factor)
    progress = folder / "painted.txt"
    done = int(progress.read_text(encoding="ascii")) if progress.exists() else 0
    painter = ScenePainter(parts)
    for begin in range(done, count, AT_ONCE):
        numbers = range(begin, min(begin + AT_ONCE, count))
        scenes = [composer.scene(np.random.default_rng((seed, number))) for number in numbers]
        starts = [STARTS[number % len(STARTS)] for number in numbers]
        latents, targets = painter.paint(scenes, starts, seed=seed + begin)
        part = slice(numbers.start, numbers.stop)
        maps["latents"][part] = latents.numpy()
        maps["targets"][part] = ((targets + 1.0) * 127.5).round().permute(0, 2, 3, 1).to(torch.uint8).numpy()
        maps["holes"][part] = np.stack([scene.mask for scene in scenes]) * np.where(_shown(scenes), OBJECT, GROUND)
        for array in maps.values():
            array.flush()
        write_atomically(progress, str(numbers.stop).encode())


def _maps(folder: Path, count: int, size: int, *, cells: int) -> dict[str, Any]:
    shapes: dict[str, tuple[type, tuple[int, ...]]] = {
        "latents": (np.float16, (count, 4, cells, cells)),
        "targets": (np.uint8, (count, size, size, 3)),
        "holes": (np.uint8, (count, size, size)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    return {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", mode="r+")
        if (folder / f"{name}.npy").exists()
        else np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=dtype, shape=shape)
        for name, (dtype, shape) in shapes.items()
    }
