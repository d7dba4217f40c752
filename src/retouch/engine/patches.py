"""Content for a hole out of the patches around it: textures go on, and lines meet.

From coarse to fine, each window of pixels that reaches into the hole looks for the known window most like it, and
each pixel of the hole becomes the weighted mean of what the windows over it say, some times over. Beside its
colours a window knows how rough the picture is about it, so that blurred ground is not continued by sharp one.

Sources: Y. Wexler et al., "Space-time completion of video" (2007), for what is repeated; C. Barnes et al.,
"PatchMatch" (2009), for the search; A. Newson et al., "Video inpainting of complex scenes" (2014), for roughness.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Self

import torch
from torch import Tensor

from retouch.engine.hole import spread_colors
from retouch.engine.windows import PEAK, SIDE, Level, distances, in_chunks, mean_of, spread_samples

_SEARCHED_AREA = 1 << 18
"""Pixels up to which windows search; larger pictures take over what is found at half their size."""
_COARSEST_SIDE = 32
_ROUNDS = (8, 4, 2)
"""How often windows look and pixels follow, from the coarsest size on; the last at all finer ones."""
_FEW_PAIRS = 1 << 22
"""Pairs of a window and a known one up to which all are compared: some 40 ms of a processor."""
_NEAR = 8
"""How far around its match a window tries others, where a coarser size has shown where to look."""
_ONE = 1 << 16
"""The largest weight of a window's say."""


def continue_patches(
    image: Tensor, mask: Tensor, *, seed: int, check: Callable[[], object] = lambda: None
) -> Tensor:
    """Continue a picture into its hole.

    Args:
        image: (3, H, W) fp32 in [-1, 1], on the CPU; nothing of it inside the hole is looked at.
        mask: (1, H, W), 1 = the hole.
        seed: of the search. Another one mostly ends in nearly the same picture.
        check: called some times a second; what it raises ends the work.
    Returns:
        (3, H, W), equal to `image` outside the hole. Where no known window is whole, the hole has the colours
        around it alone (`spread_colors`).
    """
    known = mask[0] < 0.5
    if known.all():
        return image
    samples = ((image + 1) * (PEAK / 2)).round().clamp(0, PEAK).int().permute(1, 2, 0)
    sizes = _Sizes.of(Level(samples * known[..., None], known))
    if sizes is None:
        return spread_colors(image, mask)
    filled = _continued(sizes, torch.Generator().manual_seed(seed), check)
    return torch.where(known, image, filled[..., :3].permute(2, 0, 1) / (PEAK / 2) - 1)


@dataclass(frozen=True, eq=False)
class _Sizes:
    """A picture at falling sizes.

    Attributes:
        large: too large to search in; from the largest on.
        searched: at least one, the last of which has sources; with roughness.
    """

    large: tuple[Level, ...]
    searched: tuple[Level, ...]

    @classmethod
    def of(cls, whole: Level) -> Self | None:
        """Return the sizes of a picture; None where no window is known at any that is searched."""
        large, level = [], whole
        while level.known.numel() > _SEARCHED_AREA:
            large.append(level)
            level = level.halved()
        searched = [level.with_roughness()]
        while min(searched[-1].known.shape) > _COARSEST_SIDE and len((coarser := searched[-1].halved()).sources):
            searched.append(coarser)
        return cls(tuple(large), tuple(searched)) if len(searched[-1].sources) else None


def _continued(sizes: _Sizes, generator: torch.Generator, check: Callable[[], object]) -> Tensor:
    """Return the samples of the largest size, its hole filled."""
    coarsest = sizes.searched[-1]
    matches, samples = _Matches.drawn(coarsest, generator), spread_samples(coarsest.samples, coarsest.known)
    for level, rounds in zip(reversed(sizes.searched), chain(_ROUNDS, repeat(_ROUNDS[-1])), strict=False):
        reach = max(level.windows_size)
        if level is not coarsest:
            matches, reach = matches.enlarged(level, generator), _NEAR
            samples = matches.vote()
        for number in range(rounds):
            check()
            matches = matches.improved(samples, generator, reach=reach if number == 0 else _NEAR // 2)
            samples = matches.vote()
    for level in reversed(sizes.large):
        check()
        matches = matches.enlarged(level, generator)
        samples = matches.vote(every=2)
    return samples


@dataclass(frozen=True, eq=False)
class _Matches:
    """What each window over the hole looks like.

    Attributes:
        level: whose windows they are.
        found: (targets), the sources.
        distance: (targets), sums of squares of differences in 8 bits.
    """

    level: Level
    found: Tensor
    distance: Tensor

    @classmethod
    def drawn(cls, level: Level, generator: torch.Generator) -> Self:
        found = _drawn(level.sources, len(level.targets), generator)
        return cls(level, found, torch.ones_like(found))

    def enlarged(self, level: Level, generator: torch.Generator) -> Self:
        """Return what windows at twice the size begin with: what the one about their middle found."""
        (rows, columns), (height, width) = self.level.windows_size, level.windows_size
        table = torch.full((rows * columns,), -1).index_put((self.level.targets,), self.found)
        row, column = level.places(level.targets)
        near_row, near_column = (
            ((place + SIDE // 2) // 2 - SIDE // 2).clamp(0, size - 1)
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

    def improved(self, samples: Tensor, generator: torch.Generator, *, reach: int) -> Self:
        """Return better matches for windows of the samples given, the best ones where that is soon done.

        Args:
            reach: how far around their matches others are tried.
        """
        level, wanted = self.level, self.level.windows_of(samples)
        if len(level.sources) * len(level.targets) <= _FEW_PAIRS:
            found = _nearest(level, wanted)
            return type(self)(level, found, distances(level.windows, found, wanted))
        search = _Search(level, wanted, self.found.clone(), distances(level.windows, self.found, wanted))
        search.ask_neighbours(1)
        for distance in _halvings(reach):
            search.look_around(distance, generator)
        search.ask_neighbours(2)
        return type(self)(level, search.found, search.distance)

    def vote(self, *, every: int = 1) -> Tensor:
        """Return the level's samples, its hole filled with the means of what the windows over each pixel say.

        Args:
            every: of so many pixels of a window, down and across, one has a say.
        """
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
        for down in range(0, SIDE, every):
            for across in range(0, SIDE, every):
                offset = down * width + across
                # No two windows lie at one place, so that none of the hole's pixels comes twice.
                pixel = number[to + offset]
                total[pixel] += weights[:, None] * flat[source + offset]
                count[pixel] += weights[:, None]
        means = mean_of(total[:-1], count[:-1]).int()
        return flat.index_put((hole,), means).view(height, width, channels)


@dataclass(eq=False)
class _Search:
    """Windows on the look-out for better matches; mutable."""

    level: Level
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
        distance = distances(self.level.windows, place[tried], self.wanted[tried])
        is_better = distance < self.distance[tried]
        better = tried[is_better]
        self.found[better], self.distance[better] = place[better], distance[is_better]

    def _is_within(self, row: Tensor, column: Tensor) -> Tensor:
        height, width = self.level.windows_size
        return (row >= 0) & (row < height) & (column >= 0) & (column < width)


def _nearest(level: Level, wanted: Tensor) -> Tensor:
    """Return the source nearest to each wanted window, the first of equals."""
    sources = level.windows[level.sources].double()
    halves = sources.square().sum(dim=1) / 2
    nearest = [(halves - some.double() @ sources.T).argmin(dim=1) for some in in_chunks(wanted)]
    return level.sources[torch.cat(nearest)]


def _drawn(places: Tensor, count: int, generator: torch.Generator) -> Tensor:
    return places[torch.randint(len(places), (count,), generator=generator)]


def _halvings(reach: int) -> Iterator[int]:
    while reach:
        yield reach
        reach //= 2
