"""Tables give what the scheduler they were read off gives."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from retouch.engine.sampler import Course
from retouch.engine.samplers import of_scheduler
from retouch.engine.samplers.stepped import SchedulerSampler
from retouch.engine.samplers.table import TableSampler, compile_table
from retouch.models.bundle import ModelBundle
from retouch.models.schedulers import SchedulerSpec, resolve_scheduler

DETERMINISTIC = (
    "DDIM",
    "DEIS",
    "DPM++ 2M Karras",
    "DPM++ 3M",
    "DPM++ 2S",
    "DPM++ SDE",
    "DPM2",
    "Euler",
    "Heun",
    "LMS",
    "PNDM",
    "TCD",
    "UniPC",
)
STOCHASTIC = ("DDPM", "DPM++ 2M SDE", "DPM++ 2S SDE", "DPM++ 3M SDE", "DPM2 a", "Euler a", "LCM", "SA-Solver")


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize(("steps", "strength"), [(12, 1.0), (9, 0.5)])
@pytest.mark.parametrize("name", DETERMINISTIC)
def test_table_walks_as_the_scheduler_does(
    name: str, steps: int, strength: float, prediction_type: str, checkpoint: Callable[..., Any]
) -> None:
    spec = resolve_scheduler(name, checkpoint(prediction_type=prediction_type).bundle())
    course = Course(steps, strength)
    table = compile_table(spec, course)
    assert table is not None
    plain, quick = SchedulerSampler(spec, course), TableSampler(table)
    assert quick.timesteps == plain.timesteps
    generator = torch.Generator().manual_seed(3)
    image, noise = torch.randn(2, 1, 4, 6, 5, generator=generator)
    a, b = plain.start(noise, image), quick.start(noise, image)
    for index in range(len(plain.timesteps)):
        seen_a, seen_b = plain.scale_input(a, index), quick.scale_input(b, index)
        torch.testing.assert_close(seen_b, seen_a, rtol=1e-4, atol=1e-5)
        assert quick.level(index) == plain.level(index)
        a = plain.step(torch.tanh(seen_a), a, index, generator)
        b = quick.step(torch.tanh(seen_b), b, index, generator)
        torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(
            quick.renoise(image, noise, index), plain.renoise(image, noise, index), rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("name", STOCHASTIC)
def test_a_scheduler_that_draws_noise_has_no_table(name: str, bundle: ModelBundle) -> None:
    spec, course = resolve_scheduler(name, bundle), Course(6, 1.0)
    assert compile_table(spec, course) is None
    assert isinstance(of_scheduler(spec, course), SchedulerSampler)


def test_a_scheduler_that_clips_has_no_table() -> None:
    assert compile_table(SchedulerSpec("DDIMScheduler", {"clip_sample": True}), Course(4, 1.0)) is None


def test_the_reference_steps_diffusers_itself(bundle: ModelBundle) -> None:
    spec = resolve_scheduler("DDIM", bundle)
    assert isinstance(of_scheduler(spec, Course(4, 1.0, exact_reference=True)), SchedulerSampler)
    assert isinstance(of_scheduler(spec, Course(4, 1.0)), TableSampler)


def test_samplers_of_one_table_share_no_history(bundle: ModelBundle) -> None:
    spec, course = resolve_scheduler("DPM++ 2M", bundle), Course(4, 1.0)
    one, other = of_scheduler(spec, course), of_scheduler(spec, course)
    x, generator = torch.ones(1, 1, 1, 1), torch.Generator()
    one.step(x, x, 0, generator)
    one.step(5 * x, x, 1, generator)
    first = other.step(x, x, 0, generator)
    assert torch.equal(first, of_scheduler(spec, course).step(x, x, 0, generator))
