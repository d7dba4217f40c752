"""The windows of a picture at one size, in whole numbers: what `patches` looks for, and where.

Every number is exact in the type that holds it: a distance that differed in its last bit would send a window
elsewhere, and a picture would depend on the processor.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 7
"""Of a window. Squares of differences of 8 bits in 5 channels sum to less than 2^24: fp32 holds that exactly."""
PEAK = 65535
"""The largest sample, as in pictures of 16 bits."""
_ROUGHNESS_PX = 8
"""How far a window looks around for how rough the picture is: somewhat further than it reaches itself."""
_CHUNK = 1 << 12
"""Windows that are taken at a time, so that their differences stay small."""


@dataclass(frozen=True, eq=False)
class Level:
    """The picture at one size. A window is named by the place of its first pixel, row by row.

    Attributes:
        samples: (H, W, C) int32, 0..PEAK; inside the hole any.
        known: (H, W).
    """

    samples: Tensor
    known: Tensor

    @property
    def windows_size(self) -> tuple[int, int]:
        """Rows and columns of windows, overlapping ones."""
        height, width = self.known.shape
        return max(0, height - SIDE + 1), max(0, width - SIDE + 1)

    @cached_property
    def is_source(self) -> Tensor:
        """(windows), True where all pixels are known."""
        if 0 in self.windows_size:
            return torch.zeros(0, dtype=torch.bool)
        return _views(self.known).all(dim=-1).all(dim=-1).flatten()

    @cached_property
    def sources(self) -> Tensor:
        return self.is_source.nonzero()[:, 0]

    @cached_property
    def targets(self) -> Tensor:
        return (~self.is_source).nonzero()[:, 0]

    @cached_property
    def windows(self) -> Tensor:
        """(windows, C * SIDE²) uint8, of all windows: a copy, for whole rows of memory are found fastest."""
        return _windows(self.samples).flatten(0, 1).flatten(1)

    def windows_of(self, samples: Tensor) -> Tensor:
        """Return (targets, C * SIDE²) uint8, with the samples given."""
        row, column = self.places(self.targets)
        return _windows(samples)[row, column].flatten(1)

    def places(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows and columns of windows."""
        width = self.windows_size[1]
        return windows // width, windows % width

    def halved(self) -> Self:
        """Return the picture of half the size: means of what is known of 2 x 2, known where all four are."""
        known = self.known[..., None].int()
        counts, there = _sums(known), _sums(torch.ones_like(known))
        means = mean_of(_sums(self.samples * self.known[..., None]), counts)
        return type(self)(means, (counts == there)[..., 0])

    def with_roughness(self) -> Self:
        """Return it with two more channels: the mean steps between known pixels about each, down and across."""
        light, steps = self.samples.sum(dim=-1), []
        for axis in (0, 1):
            step = torch.zeros_like(light)
            counted = torch.zeros_like(light)
            few = light.shape[axis] - 1
            both = self.known.narrow(axis, 0, few) & self.known.narrow(axis, 1, few)
            counted.narrow(axis, 0, few).copy_(both)
            step.narrow(axis, 0, few).copy_(light.diff(dim=axis).abs() * both)
            steps.append(mean_of(_box_sums(step), _box_sums(counted)).clamp_max(PEAK).int())
        return type(self)(torch.cat([self.samples, torch.stack(steps, dim=-1)], dim=-1), self.known)


def distances(windows: Tensor, found: Tensor, wanted: Tensor) -> Tensor:
    """Return (N), the sums of squares between `windows[found]` and `wanted`, both uint8."""
    pairs = zip(in_chunks(found), in_chunks(wanted), strict=True)
    sums = [(windows[some].float() - own.float()).square().sum(dim=1) for some, own in pairs]
    return torch.cat(sums).long() if sums else torch.zeros(0, dtype=torch.long)


def in_chunks(rows: Tensor) -> tuple[Tensor, ...]:
    return torch.split(rows, _CHUNK)


def spread_samples(samples: Tensor, known: Tensor) -> Tensor:
    """Return samples, each unknown one the mean of what is known about it, as near as there is any."""
    if known.all() or max(known.shape) == 1:
        return samples
    counts = _sums(known[..., None].int())
    coarse = spread_samples(mean_of(_sums(samples * known[..., None]), counts), counts[..., 0] > 0)
    height, width = known.shape
    about = coarse.repeat_interleave(2, 0).repeat_interleave(2, 1)[:height, :width]
    return torch.where(known[..., None], samples, about)


def _windows(samples: Tensor) -> Tensor:
    """Return (rows, columns, C, SIDE, SIDE) uint8, views of the samples' upper eight bits."""
    return _views((samples >> 8).to(torch.uint8))


def _views(array: Tensor) -> Tensor:
    return array.unfold(0, SIDE, 1).unfold(1, SIDE, 1)


def _sums(array: Tensor) -> Tensor:
    """Return the sums of 2 x 2 of an (H, W, C) array, padded with nothing to even sides."""
    height, width, channels = array.shape
    even = F.pad(array, (0, 0, 0, width % 2, 0, height % 2))
    return even.view((height + 1) // 2, 2, (width + 1) // 2, 2, channels).sum(dim=(1, 3), dtype=array.dtype)


def _box_sums(array: Tensor) -> Tensor:
    """Return the sums of an (H, W) array over `_ROUGHNESS_PX` to all sides, as far as it goes."""
    reach = _ROUGHNESS_PX
    sums = F.pad(array, (reach + 1, reach, reach + 1, reach)).cumsum(0).cumsum(1)
    height, width = array.shape
    low, high = slice(None, height), slice(2 * reach + 1, None)
    left, right = slice(None, width), slice(2 * reach + 1, None)
    return sums[high, right] - sums[low, right] - sums[high, left] + sums[low, left]


def mean_of(sums: Tensor, counts: Tensor) -> Tensor:
    """Return the mean, rounded; 0 where nothing was counted."""
    counts = counts.clamp_min(1)
    return (sums + counts // 2) // counts
