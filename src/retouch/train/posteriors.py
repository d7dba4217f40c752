"""From pictures and masks to what a frozen VAE says of them, and to latents."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor

from retouch.train.sketches import to_regions
from retouch.train.text import SKETCH_SIDE
from retouch.train.transfer import to_device

CALL_PIXELS = 4 * 512 * 512
"""Most pixels of one call of a VAE on an accelerator, for its memory."""
CPU_CALL_PIXELS = 8 * 128 * 128
"""Most pixels of one on a CPU: what a call's layers write must fit its caches. All 32 pictures of a step at once
take almost twice as long as eight by eight."""


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


def to_unit_range(pictures: Tensor) -> Tensor:
    """(B, H, W, 3) bytes to (B, 3, H, W) in [-1, 1], channels last."""
    return (pictures.permute(0, 3, 1, 2).float() / 127.5 - 1.0).contiguous(memory_format=torch.channels_last)


def masked_image(images: Tensor, mask: Tensor) -> Tensor:
    """images (B, 3, H, W) in [-1, 1] with 0 where mask (B, 1, H, W) says repaint, as the SD recipe has it."""
    return images * (mask < 0.5)


def latent_mask(mask: Tensor, cells: int | tuple[int, int], *, rule: str) -> Tensor:
    """Pixel mask (B, 1, H, W) to latent cells (B, 1, h, w): `nearest` as SD trains, or `cover` (any pixel)."""
    height, width = (cells, cells) if isinstance(cells, int) else cells
    if rule == "cover":
        return F.max_pool2d(mask, kernel_size=mask.shape[-1] // width)
    return F.interpolate(mask, size=(height, width))


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
