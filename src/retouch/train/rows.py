"""Every random draw of training, as a pure function of (seed, phase, step, row).

On CPUs a row draws the same numbers whichever process handles it, however the batch is cut and however often the
run was interrupted: that is what makes resuming exact, and two processes equal to one. An accelerator would starve
on draws of the host, one row at a time: there a micro-batch draws as a whole, on the device, from its first row's
place.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Self

import numpy as np
import torch
from torch import Tensor

from retouch.errors import InvalidField
from retouch.train.noise import TIMESTEPS

HIGH_NOISE_FROM = 800
Cells = int | tuple[int, int]
"""Latent cells: of a square's side, or height and width."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands: `row` counts within the global batch of optimiser step `step` of phase `phase`."""

    seed: int
    phase: int
    step: int
    row: int

    def generator(self, device: torch.device | str = "cpu") -> torch.Generator:
        """A generator of this row's own."""
        return torch.Generator(device).manual_seed(self._number())

    def seed_layers(self) -> None:
        """Let what a model draws itself begin at this row: dropout takes no generator, but the global ones."""
        torch.manual_seed(self._number(1))

    def _number(self, *stream: int) -> int:
        place = (self.seed, self.phase, self.step, self.row, *stream)
        words = np.random.SeedSequence(place).generate_state(2, np.uint32)
        return int(words[0]) << 31 | int(words[1]) >> 1


@dataclass(frozen=True, slots=True)
class Share:
    """The micro-batches of each step that a process takes: every `world`-th, beginning with number `rank`."""

    global_batch: int
    micro_batch: int
    rank: int = 0
    world: int = 1

    @classmethod
    def of(cls, global_batch: int, micro_batch: int, *, rank: int, world: int) -> Self:
        """Deal a step's rows out, at most `micro_batch` at once; fewer where so each process has some.

        Raises:
            InvalidField: the processes cannot share the batch evenly.
        """
        at_once = max(1, min(micro_batch, global_batch // world))
        if global_batch % (at_once * world):
            raise InvalidField("global_batch", f"{world} processes cannot share it evenly")
        return cls(global_batch, at_once, rank, world)

    def micros(self) -> range:
        """Numbers of this process's micro-batches in any step."""
        return range(self.rank, self.global_batch // self.micro_batch, self.world)

    def rows(self, micro: int) -> range:
        """The rows of a micro-batch within its step."""
        return range(micro * self.micro_batch, (micro + 1) * self.micro_batch)

    def follow(self, step: int, micro: int) -> Iterator[tuple[int, int]]:
        """Step and number of one micro-batch, and of all that come after it."""
        yield step, micro
        yield from ((step, later) for later in self.micros() if later > micro)
        yield from ((later, number) for later in count(step + 1) for number in self.micros())

    def numbers(self, step: int, micro: int) -> range:
        """Numbers of a micro-batch's rows, counted from the phase's first."""
        rows = self.rows(micro)
        return range(step * self.global_batch + rows.start, step * self.global_batch + rows.stop)


@dataclass(frozen=True, slots=True)
class Draws:
    """The draws of some rows, all but one on one device.

    Attributes:
        pick: (B,) in [0, 1): which example of the data; always on the host, where the data are looked up.
        timesteps: (B,) in 0..999.
        noise: (B, 4, h, w), standard normal.
        posterior: (B, 2, 4, h, w), standard normal, for the latents and the masked-image latents.
        drop_text: (B,) bool.
    """

    pick: Tensor
    timesteps: Tensor
    noise: Tensor
    posterior: Tensor
    drop_text: Tensor


def _sides(cells: Cells) -> tuple[int, int]:
    return (cells, cells) if isinstance(cells, int) else cells


def pick_timestep(uniform: Tensor, high_noise_share: float) -> Tensor:
    """Timesteps from uniform numbers in [0, 1): uniform, or with this share among the noisiest fifth.

    On small latents a tenth of the timesteps alone hide from the model what it is asked to paint; at the others it
    reads the object from the noisy latents, and learns nothing from the text.
    """
    anywhere = ((uniform - high_noise_share) / (1.0 - high_noise_share) * TIMESTEPS).long()
    if high_noise_share == 0.0:
        return anywhere
    noisy = (HIGH_NOISE_FROM + uniform / high_noise_share * (TIMESTEPS - HIGH_NOISE_FROM)).long()
    return torch.where(uniform < high_noise_share, noisy, anywhere)


def draw_rows(
    places: Sequence[Place], *, cells: Cells, text_drop_rate: float, high_noise_share: float = 0.0
) -> Draws:
    """Draw for each place, in a fixed order that later draws may extend but never reorder."""
    pick, timesteps, noise, posterior, drop = [], [], [], [], []
    for place in places:
        generator = place.generator()
        uniform = torch.rand(3, generator=generator, dtype=torch.float64)
        pick.append(uniform[0])
        timesteps.append(pick_timestep(uniform[1], high_noise_share))
        drop.append(uniform[2] < text_drop_rate)
        normal = torch.randn(3, 4, *_sides(cells), generator=generator)
        noise.append(normal[0])
        posterior.append(normal[1:])
    return Draws(
        pick=torch.stack(pick),
        timesteps=torch.stack(timesteps),
        noise=torch.stack(noise),
        posterior=torch.stack(posterior),
        drop_text=torch.stack(drop),
    )


def draw_on_device(
    first: Place,
    count: int,
    device: torch.device,
    *,
    cells: Cells,
    text_drop_rate: float,
    high_noise_share: float = 0.0,
) -> Draws:
    """Draw for `count` rows at once, on `device`, from the place of the first."""
    pick = torch.rand(count, generator=first.generator(), dtype=torch.float64)
    generator = first.generator(device)
    uniform = torch.rand(2, count, generator=generator, dtype=torch.float64, device=device)
    normal = torch.randn(3, count, 4, *_sides(cells), generator=generator, device=device)
    return Draws(
        pick=pick,
        timesteps=pick_timestep(uniform[0], high_noise_share),
        noise=normal[0],
        posterior=normal[1:].transpose(0, 1),
        drop_text=uniform[1] < text_drop_rate,
    )
