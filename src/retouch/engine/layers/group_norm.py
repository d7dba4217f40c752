"""Group norm with SiLU behind it, as one affine map for each image and channel, to be applied where it is needed.

As layers of their own both read and write the whole feature map, which in a VAE is far larger than any cache; what
comes next reads it once more. Only the statistics need a pass of their own.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

_PART_FLOATS = 2**17
"""Numbers whose squares are summed at a time, so that they stay in the cache."""


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
    weight, bias = norm.weight, norm.bias
    maps = [_affine(image, norm.num_groups, norm.eps, weight, bias) for image in x.permute(0, 2, 3, 1)]
    scale, shift = (torch.stack(part)[:, None, None] for part in zip(*maps, strict=True))
    if time_scale is not None and time_shift is not None:
        factor = 1 + time_scale.permute(0, 2, 3, 1)
        scale, shift = scale * factor, shift * factor + time_shift.permute(0, 2, 3, 1)
    return ScaledSilu(scale, shift)


def _affine(
    image: torch.Tensor, groups: int, eps: float, weight: torch.Tensor, bias: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scale and shift (C,) of the group norm of (H, W, C)."""
    rows = image.flatten(0, 1)
    channels = rows.shape[1]
    mean = _of_group(rows.mean(0), groups)
    # The squares of what is left without the mean, not the mean of squares: channels may lie far from zero.
    parts = torch.split(rows, max(1, _PART_FLOATS // channels))
    squares = torch.stack([(part - mean).square_().sum(0) for part in parts]).sum(0)
    scale = weight * torch.rsqrt(_of_group(squares, groups) / rows.shape[0] + eps)
    return scale, bias - mean * scale


def _of_group(channels: torch.Tensor, groups: int) -> torch.Tensor:
    """Return for each channel (C,) the mean over its group."""
    means = channels.view(groups, -1).mean(1, keepdim=True)
    return means.expand(-1, len(channels) // groups).reshape(-1)
