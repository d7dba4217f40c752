"""The sampler: which part of a schedule is run, and what the model's prediction means."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from retouch.engine.sampler import Course, predict_x0
from retouch.engine.samplers.stepped import SchedulerSampler
from retouch.errors import InvalidField
from retouch.models.schedulers import SchedulerSpec

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
EVERY_CLASS = (
    "DDIMScheduler",
    "DPMSolverMultistepScheduler",
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "LMSDiscreteScheduler",
    "UniPCMultistepScheduler",
)


def spec_of(class_name: str, prediction_type: str = "epsilon") -> SchedulerSpec:
    return SchedulerSpec(class_name, {**BETAS, "prediction_type": prediction_type})


@given(st.integers(1, 150), st.integers(1, 100))
def test_strength_in_hundredths_gives_the_steps_that_arithmetic_gives(steps: int, hundredths: int) -> None:
    course = Course(steps, hundredths / 100)
    assert steps - course.skipped_steps == max(1, steps * hundredths // 100)


def test_float_truncation_is_corrected_unless_the_reference_is_wanted() -> None:
    assert 50 - Course(50, 0.58).skipped_steps == 29
    assert 50 - Course(50, 0.58, exact_reference=True).skipped_steps == 28


def test_a_tiny_strength_makes_one_step_unless_the_reference_is_wanted() -> None:
    assert Course(10, 0.05).skipped_steps == 9
    with pytest.raises(InvalidField, match="strength"):
        _ = Course(10, 0.05, exact_reference=True).skipped_steps


@pytest.mark.parametrize(
    ("class_name", "prediction_type"),
    [(name, kind) for name in EVERY_CLASS for kind in ("epsilon", "v_prediction")]
    + [(name, "sample") for name in ("DDIMScheduler", "DPMSolverMultistepScheduler", "UniPCMultistepScheduler")],
)
def test_x0_is_found_from_every_prediction_type_at_every_call(class_name: str, prediction_type: Any) -> None:
    # x0 is computed by us: a model that is right about the picture must be read as that picture, whatever the
    # scheduler's own scaling of latents is.
    sampler = SchedulerSampler(spec_of(class_name, prediction_type), Course(8, 1.0))
    generator = torch.Generator().manual_seed(0)
    picture, noise = torch.randn(2, 1, 4, 4, 4, generator=generator)
    latents = sampler.start(noise, None)
    for index in range(len(sampler.timesteps)):
        z = sampler.scale_input(latents, index)
        alpha, sigma = sampler.level(index)
        assert alpha**2 + sigma**2 == pytest.approx(1.0)
        eps = (z - alpha * picture) / sigma
        prediction = {"epsilon": eps, "v_prediction": alpha * eps - sigma * picture, "sample": picture}[
            prediction_type
        ]
        x0 = predict_x0(prediction_type, prediction, z, sampler.level(index))
        torch.testing.assert_close(x0, picture, rtol=1e-3, atol=1e-3)
        latents = sampler.step(prediction, latents, index, generator)
    if class_name != "DDIMScheduler":  # its last level is not free of noise
        torch.testing.assert_close(latents, picture, rtol=0.05, atol=0.1)


@pytest.mark.parametrize("class_name", ["DDIMScheduler", "TCDScheduler", "LCMScheduler"])
def test_a_first_step_of_nothing_but_noise_has_a_level(class_name: str) -> None:
    config = {**BETAS, "prediction_type": "v_prediction", "timestep_spacing": "trailing"}
    spec = SchedulerSpec(class_name, {**config, "rescale_betas_zero_snr": True})
    sampler = SchedulerSampler(spec, Course(4, 1.0))
    levels = [sampler.level(index) for index in range(4)]
    assert levels[0] == (0.0, 1.0)
    assert all(alpha**2 + sigma**2 == pytest.approx(1.0) for alpha, sigma in levels)
