"""Names of schedulers, and what they are built from."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import diffusers
import pytest
from tests.factories import make_checkpoint

from retouch.errors import InvalidField
from retouch.models.bundle import ModelBundle
from retouch.models.load import load_model
from retouch.models.schedulers import known_schedulers, resolve_scheduler

SD_CONFIG: Mapping[str, Any] = {
    "_class_name": "PNDMScheduler",
    "_diffusers_version": "0.6.0",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
    "clip_sample": False,
}
"""Stable Diffusion's own `scheduler_config.json`."""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    tiny = load_model(make_checkpoint(tmp_path_factory.mktemp("tiny")))
    return replace(tiny, scheduler_class="PNDMScheduler", scheduler_config=SD_CONFIG)


@pytest.mark.parametrize(
    ("name", "class_name", "options"),
    [
        ("DPM++ 2M Karras", "DPMSolverMultistepScheduler", {"use_karras_sigmas": True, "solver_order": 2}),
        ("dpm++ 2m sde karras", "DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
        ("DPM++ SDE", "DPMSolverSinglestepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
        ("Euler a", "EulerAncestralDiscreteScheduler", {}),
        ("EULER_A", "EulerAncestralDiscreteScheduler", {}),
        ("euler", "EulerDiscreteScheduler", {"use_karras_sigmas": False}),
        ("Euler SGM Uniform", "EulerDiscreteScheduler", {"timestep_spacing": "trailing"}),
        ("UniPC exponential", "UniPCMultistepScheduler", {"use_exponential_sigmas": True}),
        ("plms", "PNDMScheduler", {"skip_prk_steps": True}),
        ("DDIMScheduler", "DDIMScheduler", {"set_alpha_to_one": False, "clip_sample": False}),
        ("eulerdiscretescheduler", "EulerDiscreteScheduler", {}),
        ("LCMScheduler Karras", None, {}),
        (None, "PNDMScheduler", {"skip_prk_steps": True, "steps_offset": 1}),
    ],
)
def test_names_of_both_worlds_are_found(
    name: str | None, class_name: str | None, options: Mapping[str, Any], bundle: ModelBundle
) -> None:
    if class_name is None:
        with pytest.raises(InvalidField, match="use_karras_sigmas"):
            resolve_scheduler(name, bundle)
        return
    scheduler = resolve_scheduler(name, bundle).build()
    assert type(scheduler).__name__ == class_name
    assert {key: scheduler.config[key] for key in options} == options


@pytest.mark.parametrize("name", known_schedulers())
def test_every_known_name_builds_with_the_checkpoints_betas(name: str, bundle: ModelBundle) -> None:
    scheduler = resolve_scheduler(name, bundle).build()
    assert (scheduler.config.beta_start, scheduler.config.beta_schedule) == (0.00085, "scaled_linear")
    assert scheduler.config.prediction_type == bundle.prediction_type


def test_an_unknown_name_is_an_error_that_lists_the_known_ones(bundle: ModelBundle) -> None:
    with pytest.raises(InvalidField) as error:
        resolve_scheduler("Euler z", bundle)
    assert "DPM++ 2M" in error.value.hint
    assert "EulerDiscreteScheduler" in error.value.hint


def test_a_scheduler_is_made_from_the_original_config_not_from_another_class(bundle: ModelBundle) -> None:
    # PNDM's class default is "leading"; a config that went through it would carry that into Euler, whose own
    # default is "linspace", and the timesteps would be others than those of the checkpoint's authors.
    ours = resolve_scheduler("Euler", bundle).build()
    theirs = diffusers.EulerDiscreteScheduler.from_config(dict(SD_CONFIG))
    assert ours.config.timestep_spacing == theirs.config.timestep_spacing == "linspace"


def test_a_config_silent_on_it_gets_what_stable_diffusion_takes_for_granted(bundle: ModelBundle) -> None:
    bare = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    silent = replace(bundle, scheduler_class="PNDMScheduler", scheduler_config=bare)
    assert resolve_scheduler(None, silent).build().config.steps_offset == 1
    assert resolve_scheduler("PNDM", silent).build().config.skip_prk_steps is True
    assert resolve_scheduler("DDIM", silent).build().config.clip_sample is False


def test_a_checkpoints_own_unusual_scheduler_runs_all_the_same(bundle: ModelBundle) -> None:
    own = replace(bundle, scheduler_class="EDMEulerScheduler", scheduler_config={})
    assert resolve_scheduler(None, own).class_name == "EDMEulerScheduler"
    with pytest.raises(InvalidField):
        resolve_scheduler(None, replace(bundle, scheduler_class="NoScheduler", scheduler_config={}))


def test_specs_of_equal_schedulers_have_equal_keys(bundle: ModelBundle) -> None:
    assert resolve_scheduler("PLMS", bundle).key == resolve_scheduler("pndm", bundle).key
    assert resolve_scheduler("Euler", bundle).key != resolve_scheduler("Euler Karras", bundle).key


def test_every_spec_builds_a_scheduler_of_its_own(bundle: ModelBundle) -> None:
    spec = resolve_scheduler("LMS", bundle)
    assert spec.build() is not spec.build()


@pytest.mark.parametrize("name", ["DiffusionPipeline", "UNet2DConditionModel", "utils", "NoSuchScheduler"])
def test_a_config_that_names_no_scheduler_builds_nothing(bundle: ModelBundle, name: str) -> None:
    with pytest.raises(InvalidField, match=name):
        resolve_scheduler(None, replace(bundle, scheduler_class=name))
