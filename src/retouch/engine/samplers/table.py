"""Tables: deterministic schedulers reduced to the few numbers that each of their steps comes down to."""

from collections import deque
from dataclasses import dataclass
from functools import lru_cache

import torch

from retouch.engine.sampler import Course
from retouch.engine.samplers.stepped import SchedulerSampler
from retouch.models.schedulers import SchedulerSpec

_PROBES = 4  # channels of random numbers that check each step of a table against the scheduler
_TOLERANCE = 1e-4
_MAX_DEPTH = (
    64  # UniPC's corrector reaches back to the first call; past this, remembering costs more than it saves
)


@dataclass(frozen=True, slots=True)
class Term:
    """A part of the next latents: `latents` times those, plus `prediction` times that, of `age` calls before."""

    age: int
    latents: float
    prediction: float


@dataclass(frozen=True, slots=True)
class Table:
    """A whole course in numbers; it never changes, so that trajectories share it.

    Attributes:
        timesteps, levels: as in `Sampler`.
        input_scale: factor from the latents to the UNet's input, per call.
        start: factors of the image's latents and of the noise.
        terms: what the next latents are made of, per call.
        renoise: factors of the image's latents and of the noise after each call but the last.
        depth: calls that must be remembered, the present one included.
    """

    timesteps: tuple[float, ...]
    levels: tuple[tuple[float, float], ...]
    input_scale: tuple[float, ...]
    start: tuple[float, float]
    terms: tuple[tuple[Term, ...], ...]
    renoise: tuple[tuple[float, float], ...]
    depth: int


class TableSampler:
    """A sampler that reads its steps from a table: the same numbers, a tenth of the time of a scheduler's step."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._past: deque[tuple[torch.Tensor, torch.Tensor]] = deque(maxlen=table.depth)

    @property
    def timesteps(self) -> tuple[float, ...]:
        return self._table.timesteps

    def start(self, noise: torch.Tensor, image_latents: torch.Tensor | None) -> torch.Tensor:
        return _mix(image_latents, noise, self._table.start)

    def scale_input(self, latents: torch.Tensor, index: int) -> torch.Tensor:
        scale = self._table.input_scale[index]
        return latents if scale == 1.0 else latents * scale

    def step(
        self,
        prediction: torch.Tensor,
        latents: torch.Tensor,
        index: int,
        generator: torch.Generator,  # noqa: ARG002 - the protocol's: a table draws nothing
    ) -> torch.Tensor:
        self._past.appendleft((latents, prediction))
        total = torch.zeros_like(latents)
        for term in self._table.terms[index]:
            past_latents, past_prediction = self._past[term.age]
            if term.latents:
                total.add_(past_latents, alpha=term.latents)
            if term.prediction:
                total.add_(past_prediction, alpha=term.prediction)
        return total

    def renoise(self, image_latents: torch.Tensor, noise: torch.Tensor, index: int) -> torch.Tensor:
        if index + 1 == len(self._table.timesteps):
            return image_latents
        return _mix(image_latents, noise, self._table.renoise[index])

    def level(self, index: int) -> tuple[float, float]:
        return self._table.levels[index]


@lru_cache(maxsize=256)
def table_of(spec: SchedulerSpec, course: Course) -> Table | None:
    """Return the table of a scheduler, compiled once; None where it has none."""
    return compile_table(spec, course)


def compile_table(spec: SchedulerSpec, course: Course) -> Table | None:
    """Run a scheduler on unit vectors and read off what each step is made of.

    A deterministic step is linear in every latents and prediction so far. With channel 2j holding "the latents of
    call j" and channel 2j + 1 "the prediction of call j", a step's output is the list of its factors. Further
    channels hold random numbers, on which the factors must give what the scheduler gives.

    Returns:
        None where a step draws noise, clips, is not linear for another reason, or needs too many calls before.
    """
    sampler = SchedulerSampler(spec, course)
    if sampler.scheduler.config.get("clip_sample") or sampler.scheduler.config.get("thresholding"):
        return None
    calls = len(sampler.timesteps)
    generator = torch.Generator().manual_seed(0)
    inputs = _probe_inputs(calls, generator)
    untouched = generator.get_state()
    unit = torch.eye(2).reshape(2, 1, 2, 1, 1)
    start = sampler.start(unit[1], unit[0])
    scales, rows, renoise = [], [], []
    for index, (latents, prediction) in enumerate(inputs):
        scales.append(float(sampler.scale_input(torch.ones(1, 1, 1, 1), index)))
        stepped = sampler.step(prediction, latents, index, generator)
        rows.append(stepped.flatten().double())
        if index + 1 < calls:
            renoise.append(_pair(sampler.renoise(unit[0], unit[1], index)))
    if not torch.equal(untouched, generator.get_state()) or not _is_linear(inputs, rows):
        return None
    terms = tuple(_terms(row, index) for index, row in enumerate(rows))
    depth = 1 + max(term.age for step in terms for term in step)
    if depth > _MAX_DEPTH:
        return None
    return Table(
        timesteps=sampler.timesteps,
        levels=tuple(sampler.level(index) for index in range(calls)),
        input_scale=tuple(scales),
        start=_pair(start),
        terms=terms,
        renoise=tuple(renoise),
        depth=depth,
    )


def _probe_inputs(calls: int, generator: torch.Generator) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return (latents, prediction) of each call, (1, 2 * calls + probes, 1, 1)."""
    units = torch.cat([torch.eye(2 * calls), torch.randn(_PROBES, 2 * calls, generator=generator)])
    vectors = units.T.reshape(calls, 2, 1, -1, 1, 1)
    return [(pair[0], pair[1]) for pair in vectors]


def _is_linear(inputs: list[tuple[torch.Tensor, torch.Tensor]], rows: list[torch.Tensor]) -> bool:
    known = torch.stack([part.flatten()[-_PROBES:].double() for pair in inputs for part in pair])
    for row in rows:
        expected = row[:-_PROBES] @ known
        scale = float(row.abs().max().clamp_min(1.0))
        if not torch.allclose(row[-_PROBES:], expected, rtol=0.0, atol=_TOLERANCE * scale):
            return False
    return True


def _terms(row: torch.Tensor, index: int) -> tuple[Term, ...]:
    factors = row[: 2 * (index + 1)].tolist()
    pairs = [(index - call, factors[2 * call], factors[2 * call + 1]) for call in range(index + 1)]
    return tuple(Term(age, latents, prediction) for age, latents, prediction in pairs if latents or prediction)


def _pair(mixed: torch.Tensor) -> tuple[float, float]:
    first, second = mixed.flatten().tolist()
    return first, second


def _mix(image_latents: torch.Tensor | None, noise: torch.Tensor, factors: tuple[float, float]) -> torch.Tensor:
    if image_latents is None or not factors[0]:
        return noise * factors[1]
    return image_latents * factors[0] + noise * factors[1]
