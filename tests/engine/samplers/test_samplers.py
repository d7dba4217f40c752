"""Samplers by name: our own are a file each, the others are diffusers' schedulers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from retouch.engine import samplers
from retouch.engine.plan import Plan
from retouch.engine.sampler import Course
from retouch.engine.ticket import Denoised
from retouch.errors import InvalidField
from retouch.models.bundle import ModelBundle

STRAIGHT = '''
from retouch.engine.sampler import SamplerSpec

class Straight:
    """Goes to the model's guess in one call."""

    timesteps = (999.0,)

    def __init__(self, bundle, course):
        assert bundle.prediction_type == "epsilon" and course.num_inference_steps

    def start(self, noise, image_latents):
        return noise

    def scale_input(self, latents, index):
        return latents

    def step(self, prediction, latents, index, generator):
        return latents - prediction

    def renoise(self, image_latents, noise, index):
        return image_latents

    def level(self, index):
        return 0.6, 0.8

SAMPLER = SamplerSpec("Straight", Straight)
'''


@pytest.fixture
def _a_file_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put a module beside those of the package."""
    (tmp_path / "straight.py").write_text(STRAIGHT)
    monkeypatch.setattr(samplers, "__path__", [*samplers.__path__, str(tmp_path)])
    samplers.own_samplers.cache_clear()
    yield
    samplers.own_samplers.cache_clear()


@pytest.mark.usefixtures("_a_file_more")
def test_a_sampler_of_our_own_is_one_file(
    bundle: ModelBundle, plan: Callable[..., Plan], run_alone: Callable[..., Denoised]
) -> None:
    done = run_alone(bundle, plan(3, scheduler="straight", num_inference_steps=20))
    assert done.calls == 1
    assert torch.isfinite(done.image).all()


@pytest.mark.usefixtures("_a_file_more")
def test_the_others_are_still_found_by_their_names(bundle: ModelBundle) -> None:
    names = [samplers.resolve_sampler(name, bundle).name for name in (None, "Euler a", "Straight")]
    assert names == ["DDIMScheduler", "EulerAncestralDiscreteScheduler", "Straight"]
    with pytest.raises(InvalidField, match="Crooked"):
        samplers.resolve_sampler("Crooked", bundle)


def test_each_trajectory_has_a_sampler_of_its_own(bundle: ModelBundle) -> None:
    spec = samplers.resolve_sampler("DPM++ 2M", bundle)
    assert spec.build(bundle, Course(4, 1.0)) is not spec.build(bundle, Course(4, 1.0))
