"""A look at a batch before it runs: every row that cannot be run, and how long the others will take."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from retouch.batch.job import Batch
from retouch.batch.rows import Row
from retouch.errors import RetouchError
from retouch.imaging.decode import decode_picture
from retouch.request import InpaintRequest

if TYPE_CHECKING:
    from retouch.inpainter import Inpainter

_FEW_STEPS, _MORE_STEPS = 1, 3
_MOST_TRIED = 8


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that cannot be run: where it stands, and why."""

    row: int
    where: str
    code: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found: how many rows there are, those that cannot be run, and seconds for the others, or None."""

    rows: int
    problems: tuple[Problem, ...]
    estimated_s: float | None

    def to_text(self) -> str:
        """Return a line for a person."""
        good = self.rows - len(self.problems)
        text = f"{good} of {self.rows} rows can be run"
        return (
            text if self.estimated_s is None else f"{text}, in about {timedelta(seconds=round(self.estimated_s))}"
        )


def check_batch(
    batch: Batch, inpainter: "Inpainter", *, on_problem: Callable[[Problem], None] = lambda _: None
) -> Checked:
    """Read, decode and check every row as a run would, without making any picture but a few for the estimate.

    Raises:
        BadInput: the input cannot be read.
    """
    batch.source.check(batch.recipe.columns)
    problems: list[Problem] = []
    tried: list[InpaintRequest] = []
    total, steps = 0, 0.0
    most = max(1, min(_MOST_TRIED, (inpainter.settings.rows_per_call or _MOST_TRIED) // 2))
    for row in batch.source.rows():
        total += 1
        try:
            request = _checked(row, batch, inpainter)
        except RetouchError as error:
            problems.append(_problem(row, error))
            on_problem(problems[-1])
            continue
        steps += (request.num_inference_steps or 0) * (request.strength or 0.0) * request.num_images_per_prompt
        if len(tried) < most:
            tried.append(request)
    good = total - len(problems)
    return Checked(total, tuple(problems), _estimate(tried, inpainter, good, steps / good) if good else None)


def _checked(row: Row, batch: Batch, inpainter: "Inpainter") -> InpaintRequest:
    from retouch.masking import check_mask
    from retouch.prepare import settle
    from retouch.safety.screen import screen_prompt

    _, request = batch.recipe.request(row, batch.roots, inpainter.limits)
    request = settle(request, inpainter.bundle, inpainter.limits)
    screen_prompt(request.prompt, request.safety).enforce()
    check_mask(request, decode_picture(request.image, limits=inpainter.limits), inpainter.limits)
    return request


def _problem(row: Row, error: RetouchError) -> Problem:
    where = "".join(f"{note}: " for note in getattr(error, "__notes__", ()))
    return Problem(row.number, row.where, error.code, where + str(error), error.hint)


def _estimate(tried: list[InpaintRequest], inpainter: "Inpainter", rows: int, steps: float) -> float:
    """Return seconds for `rows` of `steps` each: a few rows are made with few steps, then with more."""
    outside_and_few = _seconds(tried, inpainter, _FEW_STEPS)
    a_step = (_seconds(tried, inpainter, _MORE_STEPS) - outside_and_few) / (_MORE_STEPS - _FEW_STEPS)
    return rows / len(tried) * max(0.0, outside_and_few + a_step * (steps - _FEW_STEPS))


def _seconds(tried: list[InpaintRequest], inpainter: "Inpainter", steps: int) -> float:
    start = time.perf_counter()
    requests = (
        replace(one, num_inference_steps=steps, strength=1.0 if one.asks_model else 0.0, num_images_per_prompt=1)
        for one in tried
    )
    for _ in inpainter.map(requests, on_error="return"):
        continue
    return time.perf_counter() - start
