"""A1111's two fields for a sampler are one name here, and every name that is listed runs."""

from typing import Any

import pytest

from retouch.engine.samplers import resolve_sampler
from retouch.errors import InvalidField
from retouch.inpainter import Inpainter
from retouch.models.scheduler_names import parted
from retouch.serve.dialects.a1111_samplers import choose, samplers, schedulers


@pytest.mark.parametrize(
    ("sampler", "scheduler", "name"),
    [
        ("Euler a", None, "Euler a Uniform"),
        ("Euler a", "automatic", "Euler a Uniform"),
        ("euler a", "Automatic", "Euler a Uniform"),
        ("DPM++ 2M", None, "DPM++ 2M Karras"),
        ("DPM++ 2M", "sgm_uniform", "DPM++ 2M SGM Uniform"),
        ("DPM++ 2M", "Exponential", "DPM++ 2M Exponential"),
        ("DPM++ 2M Karras", "Exponential", "DPM++ 2M Karras"),
        ("DPM++ 2M Karras", None, "DPM++ 2M Karras"),
        ("DPM++ 3M SDE", "", "DPM++ 3M SDE Exponential"),
        ("DDIM", "automatic", "DDIM"),
        ("UniPC", None, "UniPC"),
        ("EulerDiscreteScheduler", None, "EulerDiscreteScheduler"),
    ],
)
def test_two_fields_are_one_name(sampler: str, scheduler: str | None, name: str) -> None:
    assert choose(sampler, scheduler).name == name


@pytest.mark.parametrize("one", samplers(), ids=lambda one: one["name"])
def test_every_listed_sampler_runs_with_its_own_schedule(one: dict[str, Any], inpainter: Inpainter) -> None:
    resolve_sampler(choose(one["name"], "automatic").name, inpainter.bundle)


@pytest.mark.parametrize("one", schedulers(), ids=lambda one: one["label"])
@pytest.mark.parametrize("spelling", ["name", "label"])
def test_every_listed_schedule_runs_by_both_of_its_names(
    one: dict[str, Any], spelling: str, inpainter: Inpainter
) -> None:
    resolve_sampler(choose("Euler", one[spelling]).name, inpainter.bundle)


@pytest.mark.parametrize(
    ("sampler", "scheduler"),
    [("Restart", None), ("Euler", "kl_optimal"), ("Euler", "x"), ("x", "Karras"), ("x", None)],
)
def test_a_name_that_does_not_run_is_refused(sampler: str, scheduler: str | None, inpainter: Inpainter) -> None:
    with pytest.raises(InvalidField):
        resolve_sampler(choose(sampler, scheduler).name, inpainter.bundle)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("dpm++ 2m sde heun_karras", ("DPM++ 2M SDE Heun", "Karras")),
        ("DDIM", ("DDIM", "")),
        ("Euler DDIM", ("Euler", "DDIM")),
        ("Restart Automatic", ("Restart", "Automatic")),
        ("pndmscheduler", ("PNDMScheduler", "")),
        ("no such", ("no such", "")),
    ],
)
def test_a_name_is_parted_where_its_schedule_begins(name: str, parts: tuple[str, str]) -> None:
    assert parted(name) == parts
