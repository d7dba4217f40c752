"""Group norm as one affine map for each image and channel, with SiLU behind it where that is fused.

As layers of their own both read and write the whole feature map, which in a VAE is far larger than any cache; what
comes next reads it once more. Only the statistics need a pass of their own.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from retouch.engine.layers.tuning import Tuning

_PART_FLOATS = 2**17
"""Numbers whose squares are summed at a time, so that they stay in the cache."""


class FastGroupNorm(nn.GroupNorm):
    """A group norm whose bits do not depend on how many threads share an image."""

    tuning: Tuning

    @staticmethod
    def fits(layer: Any, _tuning: Tuning) -> bool:
        return bool(layer.affine)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if input.ndim != 4 or not self.tuning.shares_norms(len(input), input[0, 0].numel()):
            return super().forward(input)
        pixels = input.permute(0, 2, 3, 1).contiguous()
        scale, shift = _affine(pixels, self)
        return torch.addcmul(shift, pixels, scale).permute(0, 3, 1, 2)


@dataclass(frozen=True, slots=True, eq=False)
class ScaledSilu:
    """silu(x * scale + shift).

    Attributes:
        scale, shift: (N, 1, 1, C).
    """

    scale: torch.Tensor
    shift: torch.Tensor

    def of(self, pixels: torch.Tensor, images: slice, *, out: torch.Tensor) -> None:
        """Write what becomes of some images, (n, h, w, C), into `out`."""
        torch.addcmul(self.shift[images], pixels, self.scale[images], out=out)
        F.silu(out, inplace=True)


def norm_and_silu(
    x: torch.Tensor,
    norm: nn.GroupNorm,
    time_scale: torch.Tensor | None = None,
    time_shift: torch.Tensor | None = None,
) -> ScaledSilu:
    """Return what silu(norm(x) * (1 + time_scale) + time_shift) does to x (N, C, H, W), channels last.

    The statistics are taken image by image, so that no image's last bit depends on its company.

    Args:
        time_scale, time_shift: (N, C, 1, 1).
    """
    scale, shift = _affine(x.permute(0, 2, 3, 1), norm)
    if time_scale is not None and time_shift is not None:
        factor = 1 + time_scale.permute(0, 2, 3, 1)
        scale, shift = scale * factor, shift * factor + time_shift.permute(0, 2, 3, 1)
    return ScaledSilu(scale, shift)


def _affine(pixels: torch.Tensor, norm: nn.GroupNorm) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scale and shift, (N, 1, 1, C) each, of the group norm of (N, H, W, C)."""
    (height, width, channels), groups = pixels.shape[1:], norm.num_groups
    mean = _of_group(_summed(pixels) / (height * width), groups)
    # The squares of what is left without the mean, not the mean of squares: channels may lie far from zero.
    parts = torch.split(pixels, max(1, _PART_FLOATS // (width * channels)), dim=1)
    squares = torch.stack([_summed(F.mse_loss(part, mean.expand_as(part), reduction="none")) for part in parts])
    variance = _of_group(squares.sum(0) / (height * width), groups)
    scale = norm.weight * torch.rsqrt(variance + norm.eps)
    return scale, norm.bias - mean * scale


def _summed(pixels: torch.Tensor) -> torch.Tensor:
    """Sum (N, H, W, C) to (N, 1, 1, C): row by row, so that threads have rows to share, and no sum has two."""
    return pixels.sum(2, keepdim=True).sum(1, keepdim=True)


def _of_group(channels: torch.Tensor, groups: int) -> torch.Tensor:
    """Return for each channel of (N, 1, 1, C) the mean over its group."""
    count, width = len(channels), channels.shape[3]
    means = channels.view(count, 1, 1, groups, -1).mean(4, keepdim=True)
    return means.expand(count, 1, 1, groups, width // groups).reshape(count, 1, 1, width)
