"""Names of schedulers, and what they are built from."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import diffusers
import numpy as np
import pytest
from tests.factories import make_checkpoint

from retouch.errors import InvalidField, MissingExtra
from retouch.models.bundle import ModelBundle
from retouch.models.load import load_model
from retouch.models.scheduler_names import known_schedulers
from retouch.models.schedulers import SchedulerSpec, own_scheduler, resolve_scheduler

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
        ("DPM++ SDE", "DPMSolverSinglestepScheduler", {"algorithm_type": "dpmsolver++"}),
        ("DPM++ 2S a Karras", "DPMSolverSinglestepScheduler", {"use_karras_sigmas": True, "solver_order": 2}),
        ("DPM++ 2S SDE", "DPMSolverSinglestepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
        (
            "DPM++ 3M SDE Exponential",
            "DPMSolverMultistepScheduler",
            {"algorithm_type": "sde-dpmsolver++", "solver_order": 3, "use_exponential_sigmas": True},
        ),
        (
            "DPM++ 2M SDE Heun",
            "DPMSolverMultistepScheduler",
            {"algorithm_type": "sde-dpmsolver++", "solver_order": 2, "solver_type": "heun"},
        ),
        ("DPM++ SDE Beta", "DPMSolverSinglestepScheduler", {"use_beta_sigmas": True}),
        ("Euler beta", "EulerDiscreteScheduler", {"use_beta_sigmas": True, "timestep_spacing": "linspace"}),
        ("DPM++ 2M Simple", "DPMSolverMultistepScheduler", {"timestep_spacing": "trailing"}),
        ("Euler_DDIM", "EulerDiscreteScheduler", {"timestep_spacing": "leading", "steps_offset": 1}),
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


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("DPM adaptive", "no such sampler"),
        ("dpm fast karras", "no such sampler"),
        ("Restart", "no such sampler"),
        ("HeunPP2", "no such sampler"),
        ("DDIM CFG++", "no such sampler"),
        ("DPMSolverSDE", "not from the request's seed"),
        ("Euler Polyexponential", "Polyexponential: diffusers has no such schedule"),
        ("DPM++ 2M KL Optimal", "KL Optimal: diffusers has no such schedule"),
        ("Euler Align Your Steps", "no such schedule"),
        ("DPM++ 2M Automatic", "name the one you want"),
    ],
)
def test_a_name_that_is_known_but_not_offered_says_why(name: str, reason: str, bundle: ModelBundle) -> None:
    with pytest.raises(InvalidField, match=re.escape(reason)) as error:
        resolve_scheduler(name, bundle)
    assert name in str(error.value)
    assert "DPM++ 2M" in error.value.hint


def test_a_named_schedule_takes_the_place_of_the_checkpoints_own(bundle: ModelBundle) -> None:
    own = {**SD_CONFIG, "_class_name": "EulerDiscreteScheduler", "use_karras_sigmas": True}
    karras = replace(bundle, scheduler_class="EulerDiscreteScheduler", scheduler_config=own)
    assert resolve_scheduler("Euler", karras).build().config.use_karras_sigmas is True
    beta = resolve_scheduler("Euler Exponential", karras).build().config
    assert (beta.use_karras_sigmas, beta.use_exponential_sigmas) == (False, True)
    assert resolve_scheduler("Euler Uniform", karras).build().config.use_karras_sigmas is False


@pytest.mark.parametrize("name", ["IPNDMScheduler", "FlowMatchEulerDiscreteScheduler", "DPMSolverSDEScheduler"])
def test_a_checkpoint_with_a_scheduler_of_other_models_is_told_so(name: str, bundle: ModelBundle) -> None:
    other = replace(bundle, scheduler_class=name, scheduler_config={"_class_name": name})
    with pytest.raises(InvalidField, match=f"the checkpoint's own is {name}") as error:
        resolve_scheduler(None, other)
    assert "DDIM" in error.value.hint


@pytest.mark.parametrize("name", ["LMS", "LMSDiscreteScheduler", "Euler Beta"])
def test_what_needs_scipy_says_so_where_it_is_missing(
    name: str, bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retouch.models.schedulers.find_spec", lambda _name: None)
    with pytest.raises(MissingExtra, match="SciPy"):
        resolve_scheduler(name, bundle)


def test_exact_means_the_config_that_the_pipeline_runs_with(bundle: ModelBundle) -> None:
    bare = {"_class_name": "DDIMScheduler", "steps_offset": 0, "beta_schedule": "scaled_linear"}
    own = replace(bundle, scheduler_class="DDIMScheduler", scheduler_config=bare)
    # The pipeline's constructor corrects the offset of a checkpoint, and leaves the clipping to the class.
    exact = resolve_scheduler(None, own, exact=True).build().config
    assert (exact.steps_offset, exact.clip_sample) == (1, True)
    assert resolve_scheduler(None, own).build().config.clip_sample is False
    # A scheduler that was handed over in memory is none of a constructor's business.
    handed = replace(own, scheduler_as_is={**diffusers.DDIMScheduler(set_alpha_to_one=False).config})
    exact = resolve_scheduler(None, handed, exact=True).build().config
    assert (exact.steps_offset, exact.clip_sample, exact.set_alpha_to_one) == (0, True, False)


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


def test_specs_of_betas_that_differ_in_little_have_other_keys() -> None:
    betas = np.linspace(0.001, 0.01, 1001)
    one, other = (SchedulerSpec("DDIMScheduler", {"trained_betas": changed}) for changed in (betas, betas + 1e-9))
    assert one != other


def test_every_spec_builds_a_scheduler_of_its_own(bundle: ModelBundle) -> None:
    spec = resolve_scheduler("LMS", bundle)
    one = spec.build()
    one.set_timesteps(3)
    assert spec.build() is not one
    assert len(spec.build().timesteps) == len(resolve_scheduler("LMS", bundle).build().timesteps) == 1000


@pytest.mark.parametrize("name", ["DiffusionPipeline", "UNet2DConditionModel", "utils", "NoSuchScheduler"])
def test_a_config_that_names_no_scheduler_builds_nothing(bundle: ModelBundle, name: str) -> None:
    with pytest.raises(InvalidField, match=name):
        resolve_scheduler(None, replace(bundle, scheduler_class=name))


def test_a_checkpoints_own_scheduler_is_built_from_the_config_on_disk_and_nothing_else() -> None:
    config = {"_class_name": "PNDMScheduler", "beta_schedule": "scaled_linear", "beta_end": 0.012, "strange": 1}
    scheduler = own_scheduler(config)
    assert isinstance(scheduler, diffusers.PNDMScheduler)
    assert (scheduler.config.beta_schedule, scheduler.config.beta_end) == ("scaled_linear", 0.012)
    for name in ("FlowMatchEulerDiscreteScheduler", "StableDiffusionPipeline"):
        with pytest.raises(InvalidField, match=name):
            own_scheduler({"_class_name": name})
