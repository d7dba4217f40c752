"""Content for a hole out of the patches around it: textures go on, and lines meet.

From coarse to fine, each window of pixels that reaches into the hole looks for the known window most like it, and
each pixel of the hole becomes the weighted mean of what the windows over it say, some times over. Beside its
colours a window knows how rough the picture is about it, so that blurred ground is not continued by sharp one.

Every number is whole, and exact in the type that holds it: a distance that differed in its last bit would send a
window elsewhere, and a picture would depend on the processor.

Sources: Y. Wexler et al., "Space-time completion of video" (2007), for what is repeated; C. Barnes et al.,
"PatchMatch" (2009), for the search; A. Newson et al., "Video inpainting of complex scenes" (2014), for roughness.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import chain, repeat
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

_SIDE = 7
"""Of a window. 5 channels of 7 x 7 squares of differences of 8 bits sum to less than 2^24, which fp32 holds."""
_SEARCHED_SIDE = 512
"""Larger pictures take over what was found at half their size."""
_COARSEST_SIDE = 32
_ROUNDS = (8, 4, 2)
"""How often windows look and pixels follow, from the coarsest size on; the last at all finer ones."""
_FEW_SOURCES = 1 << 12
"""Known windows up to which every one is looked at."""
_ROUGHNESS_PX = 8
_PEAK = 65535
_ONE = 1 << 16
_CHUNK = 1 << 12


def continue_patches(image: Tensor, mask: Tensor, *, seed: int) -> Tensor:
    """Continue a picture into its hole.

    Args:
        image: (3, H, W) fp32 in [-1, 1], on the CPU; nothing of it inside the hole is looked at.
        mask: (1, H, W), 1 = the hole.
        seed: of the search; other seeds find other patches.
    Returns:
        (3, H, W), equal to `image` outside the hole. Where no known window is whole, the hole has colours alone;
        0 where no pixel is known at all.
    """
    known = mask[0] < 0.5
    if known.all():
        return image
    if not known.any():
        return torch.zeros_like(image)
    samples = ((image + 1) * (_PEAK / 2)).round().clamp(0, _PEAK).int().permute(1, 2, 0)
    filled = _continued(_Level(samples * known[..., None], known), torch.Generator().manual_seed(seed))
    return torch.where(known, image, filled.permute(2, 0, 1) / (_PEAK / 2) - 1)


def _continued(whole: "_Level", generator: torch.Generator) -> Tensor:
    """Return the samples of a level with its hole filled."""
    large = [whole]
    while max(large[-1].known.shape) > _SEARCHED_SIDE:
        large.append(large[-1].halved())
    searched = [large.pop().with_roughness()]
    while min(searched[-1].known.shape) > _COARSEST_SIDE and len((coarser := searched[-1].halved()).sources):
        searched.append(coarser)
    coarsest = searched[-1]
    if not len(coarsest.sources):
        return _spread(whole.samples, whole.known)
    samples = _spread(coarsest.samples, coarsest.known)
    matches = _Matches.drawn(coarsest, generator)
    for level, rounds in zip(reversed(searched), chain(_ROUNDS, repeat(_ROUNDS[-1])), strict=False):
        if level is not coarsest:
            matches = matches.enlarged(level, generator)
            samples = matches.vote()
        for number in range(rounds):
            matches = matches.improved(samples, generator, is_first=number == 0)
            samples = matches.vote()
    for level in reversed(large):
        matches = matches.enlarged(level, generator)
        samples = matches.vote()
    return samples[..., :3]


@dataclass(frozen=True, eq=False)
class _Level:
    """The picture at one size. A window is named by the place of its first pixel, row by row.

    Attributes:
        samples: (H, W, C) int32, 0.._PEAK; inside the hole any.
        known: (H, W).
    """

    samples: Tensor
    known: Tensor

    @property
    def windows_size(self) -> tuple[int, int]:
        """Rows and columns of windows, overlapping ones."""
        height, width = self.known.shape
        return max(0, height - _SIDE + 1), max(0, width - _SIDE + 1)

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
        """(windows, C * _SIDE²) uint8, of all windows: a copy, for whole rows of memory are found fastest."""
        return _windows(self.samples).flatten(0, 1).flatten(1)

    def windows_of(self, samples: Tensor) -> Tensor:
        """Return (targets, C * _SIDE²) uint8, with the samples given."""
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
        means = _mean(_sums(self.samples * self.known[..., None]), counts)
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
            steps.append(_mean(_box_sums(step), _box_sums(counted)).clamp_max(_PEAK).int())
        return type(self)(torch.cat([self.samples, torch.stack(steps, dim=-1)], dim=-1), self.known)


@dataclass(frozen=True, eq=False)
class _Matches:
    """What each window over the hole looks like.

    Attributes:
        level: whose windows they are.
        found: (targets), the sources.
        distance: (targets), sums of squares of differences in 8 bits.
    """

    level: _Level
    found: Tensor
    distance: Tensor

    @classmethod
    def drawn(cls, level: _Level, generator: torch.Generator) -> Self:
        found = _drawn(level.sources, len(level.targets), generator)
        return cls(level, found, torch.ones_like(found))

    def enlarged(self, level: _Level, generator: torch.Generator) -> Self:
        """Return what windows at twice the size begin with: what the one about their middle found."""
        (rows, columns), (height, width) = self.level.windows_size, level.windows_size
        table = torch.full((rows * columns,), -1).index_put((self.level.targets,), self.found)
        row, column = level.places(level.targets)
        near_row, near_column = (
            ((place + _SIDE // 2) // 2 - _SIDE // 2).clamp(0, size - 1)
            for place, size in ((row, rows), (column, columns))
        )
        found = table[near_row * columns + near_column]
        found_row, found_column = self.level.places(found)
        row = (row + 2 * (found_row - near_row)).clamp(0, height - 1)
        column = (column + 2 * (found_column - near_column)).clamp(0, width - 1)
        place = row * width + column
        is_one = (found >= 0) & level.is_source[place]
        place = torch.where(is_one, place, _drawn(level.sources, len(place), generator))
        return type(self)(level, place, torch.where(is_one, 1, _ONE))

    def improved(self, samples: Tensor, generator: torch.Generator, *, is_first: bool) -> Self:
        """Return better matches for windows of the samples given."""
        wanted = self.level.windows_of(samples)
        if len(self.level.sources) <= _FEW_SOURCES:
            found = _nearest(self.level, wanted)
            return type(self)(self.level, found, _distances(self.level.windows, found, wanted))
        search = _Search(
            self.level, wanted, self.found.clone(), _distances(self.level.windows, self.found, wanted)
        )
        for step in (1, 2) if is_first else (1,):
            search.ask_neighbours(step)
        for reach in (8, 4, 2, 1) if is_first else (4, 1):
            search.look_around(reach, generator)
        return type(self)(self.level, search.found, search.distance)

    def vote(self) -> Tensor:
        """Return the level's samples, its hole filled with the means of what the windows over each pixel say."""
        level = self.level
        height, width, channels = level.samples.shape
        typical = max(1, int(self.distance.kthvalue(len(self.distance) * 3 // 4 + 1).values))
        weights = (_ONE * typical // (typical + 3 * self.distance)).clamp_min(1)
        (row, column), (from_row, from_column) = level.places(level.targets), level.places(self.found)
        to, source = row * width + column, from_row * width + from_column
        hole = (~level.known.flatten()).nonzero()[:, 0]
        # The pixels of the hole by number; kept ones share one more, where what is said of them is lost.
        number = torch.full((height * width,), len(hole)).index_put((hole,), torch.arange(len(hole)))
        flat = level.samples.flatten(0, 1)
        total = torch.zeros(len(hole) + 1, channels, dtype=torch.long)
        count = torch.zeros(len(hole) + 1, 1, dtype=torch.long)
        for down in range(_SIDE):
            for across in range(_SIDE):
                offset = down * width + across
                pixel = number[
                    to + offset
                ]  # no two windows lie at one place, so that none of the hole comes twice
                total[pixel] += weights[:, None] * flat[source + offset]
                count[pixel] += weights[:, None]
        means = _mean(total[:-1], count[:-1]).int()
        return flat.index_put((hole,), means).view(height, width, channels)


@dataclass(eq=False)
class _Search:
    """Windows on the look-out for better matches; mutable."""

    level: _Level
    wanted: Tensor
    found: Tensor
    distance: Tensor

    def ask_neighbours(self, step: int) -> None:
        """Let each window try what lies beside the matches of the windows beside it."""
        (height, width), targets = self.level.windows_size, self.level.targets
        row, column = self.level.places(targets)
        table = torch.full((height * width,), -1)
        for down, across in ((0, -step), (0, step), (-step, 0), (step, 0)):
            table[targets] = self.found
            beside_row, beside_column = row + down, column + across
            is_there = self._is_within(beside_row, beside_column)
            theirs = table[torch.where(is_there, beside_row * width + beside_column, targets)]
            their_row, their_column = self.level.places(theirs)
            self._try(their_row - down, their_column - across, is_there & (theirs >= 0))

    def look_around(self, reach: int, generator: torch.Generator) -> None:
        """Let each window try one beside its match."""
        row, column = self.level.places(self.found)
        down, across = torch.randint(-reach, reach + 1, (2, len(self.found)), generator=generator)
        self._try(row + down, column + across, torch.ones_like(row, dtype=torch.bool))

    def _try(self, row: Tensor, column: Tensor, is_meant: Tensor) -> None:
        place = torch.where(
            is_meant & self._is_within(row, column), row * self.level.windows_size[1] + column, self.found
        )
        tried = (self.level.is_source[place] & (place != self.found)).nonzero()[:, 0]
        distance = _distances(self.level.windows, place[tried], self.wanted[tried])
        is_better = distance < self.distance[tried]
        better = tried[is_better]
        self.found[better], self.distance[better] = place[better], distance[is_better]

    def _is_within(self, row: Tensor, column: Tensor) -> Tensor:
        height, width = self.level.windows_size
        return (row >= 0) & (row < height) & (column >= 0) & (column < width)


def _nearest(level: _Level, wanted: Tensor) -> Tensor:
    """Return the source nearest to each wanted window, the first of equals."""
    sources = level.windows[level.sources].double()
    halves = sources.square().sum(dim=1) / 2
    nearest = [(halves - some.double() @ sources.T).argmin(dim=1) for some in _chunks(wanted)]
    return level.sources[torch.cat(nearest)]


def _distances(windows: Tensor, found: Tensor, wanted: Tensor) -> Tensor:
    """Return (N), the sums of squares between `windows[found]` and `wanted`, both uint8."""
    pairs = zip(_chunks(found), _chunks(wanted), strict=True)
    sums = [(windows[some].float() - own.float()).square().sum(dim=1) for some, own in pairs]
    return torch.cat(sums).long() if sums else torch.zeros(0, dtype=torch.long)


def _chunks(rows: Tensor) -> tuple[Tensor, ...]:
    return torch.split(rows, _CHUNK)


def _windows(samples: Tensor) -> Tensor:
    """Return (rows, columns, C, _SIDE, _SIDE) uint8, views of the samples' upper eight bits."""
    return _views((samples >> 8).to(torch.uint8))


def _views(array: Tensor) -> Tensor:
    return array.unfold(0, _SIDE, 1).unfold(1, _SIDE, 1)


def _drawn(places: Tensor, count: int, generator: torch.Generator) -> Tensor:
    return places[torch.randint(len(places), (count,), generator=generator)]


def _spread(samples: Tensor, known: Tensor) -> Tensor:
    """Return samples, each unknown one the mean of what is known about it, as near as there is any."""
    if known.all() or max(known.shape) == 1:
        return samples
    counts = _sums(known[..., None].int())
    coarse = _spread(_mean(_sums(samples * known[..., None]), counts), counts[..., 0] > 0)
    height, width = known.shape
    about = coarse.repeat_interleave(2, 0).repeat_interleave(2, 1)[:height, :width]
    return torch.where(known[..., None], samples, about)


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


def _mean(sums: Tensor, counts: Tensor) -> Tensor:
    """Return the mean, rounded; 0 where nothing was counted."""
    counts = counts.clamp_min(1)
    return (sums + counts // 2) // counts
