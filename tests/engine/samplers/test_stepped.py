"""Schedulers of diffusers, stepped: which part of a schedule is run, and where it arrives."""

import math
from typing import Any

import pytest
import torch
from diffusers import PNDMScheduler

from retouch.engine.sampler import Course
from retouch.engine.samplers.stepped import SchedulerSampler
from retouch.errors import InvalidField
from retouch.models.schedulers import SchedulerSpec

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
PNDM = SchedulerSpec("PNDMScheduler", {**BETAS, "skip_prk_steps": True})
HEUN = SchedulerSpec("HeunDiscreteScheduler", BETAS)
EULER = SchedulerSpec("EulerDiscreteScheduler", BETAS)


def test_second_order_schedules_are_cut_between_whole_steps() -> None:
    whole, part = SchedulerSampler(HEUN, Course(10, 1.0)), SchedulerSampler(HEUN, Course(10, 0.5))
    assert len(whole.timesteps) == 19
    assert part.timesteps == whole.timesteps[10:]
    assert part.timesteps[0] != part.timesteps[1]


def test_steps_that_a_scheduler_does_not_take_are_an_error() -> None:
    lcm = SchedulerSpec("LCMScheduler", {**BETAS, "original_inference_steps": 50})
    with pytest.raises(InvalidField, match="num_inference_steps"):
        SchedulerSampler(lcm, Course(60, 1.0))


def walk(sampler: Any, image: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Denoise with a model that always knows the true noise."""
    latents, generator = sampler.start(noise, image), torch.Generator().manual_seed(0)
    for index in range(len(sampler.timesteps)):
        latents = sampler.step(noise, latents, index, generator)
    return latents


@pytest.mark.parametrize(("steps", "strength"), [(50, 0.8), (10, 0.5), (10, 0.3), (10, 0.2), (10, 0.1)])
def test_pndm_below_strength_one_arrives_where_diffusers_lags_a_step_behind(steps: int, strength: float) -> None:
    # Given the true noise, every noise level is hit exactly; what is left at the end is that of the last level.
    image, noise = torch.full((1, 1, 1, 1), 0.3), torch.ones(1, 1, 1, 1)
    alpha = float(PNDMScheduler(**PNDM.config).final_alpha_cumprod)
    exact = math.sqrt(alpha) * image + math.sqrt(1 - alpha) * noise
    ours = walk(SchedulerSampler(PNDM, Course(steps, strength)), image, noise)
    theirs = walk(SchedulerSampler(PNDM, Course(steps, strength, exact_reference=True)), image, noise)
    assert abs(float(ours - exact)) < 1e-3
    if steps * strength > 1:
        assert abs(float(theirs - exact)) > 5e-3


def test_pndm_at_strength_one_is_diffusers_own() -> None:
    courses = [Course(10, 1.0), Course(10, 1.0, exact_reference=True)]
    ours, theirs = (SchedulerSampler(PNDM, course).timesteps for course in courses)
    assert ours == theirs
    assert len(ours) == 11


def test_renoise_after_the_last_step_is_clean() -> None:
    sampler = SchedulerSampler(EULER, Course(3, 1.0))
    picture, noise = torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1)
    latents, levels = sampler.start(noise, None), []
    for index in range(3):
        latents = sampler.step(noise, latents, index, torch.Generator())
        levels.append(float(sampler.renoise(picture, noise, index)))
    assert levels[0] > levels[1] > levels[2] == 0.0
