"""Stages: one call for a group, and what each takes from it."""

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from retouch.engine.calls import ModelCalls
from retouch.engine.conditioning import Conditioning
from retouch.engine.plan import Plan
from retouch.engine.scheduler import Stage
from retouch.engine.settings import EngineSettings
from retouch.engine.stages import PictureMemory, PromptMemory, Stages
from retouch.engine.trajectory import Trajectory
from retouch.errors import GenerationFailed, NonFinite
from retouch.models.bundle import ModelBundle
from retouch.prompts import Prompt


def stages_of(bundle: ModelBundle, memory: PromptMemory | None = None) -> tuple[Stages, ModelCalls]:
    calls = ModelCalls(bundle, EngineSettings())
    return Stages(calls, memory or PromptMemory(8), PictureMemory(8), rows_per_call=0), calls


@torch.inference_mode()
def test_a_group_goes_through_all_stages_together(bundle: ModelBundle, plan: Callable[..., Plan]) -> None:
    stages, calls = stages_of(bundle)
    group = [Trajectory(plan(n, num_inference_steps=2), bundle, since=0.0) for n in range(3)]
    for _ in range(5):
        stages.run(group)
    assert all(one.result is not None and one.failure is None for one in group)
    assert calls.calls == {Stage.TEXT: 1, Stage.PICTURES: 1, Stage.STEP: 2, Stage.DECODE: 1}


@torch.inference_mode()
def test_a_prompt_is_embedded_once(bundle: ModelBundle, plan: Callable[..., Plan]) -> None:
    memory = PromptMemory(8)
    stages, calls = stages_of(bundle, memory)
    group = [Trajectory(plan(prompt="a red apple", negative_prompt=""), bundle, since=0.0) for _ in range(4)]
    stages.run(group)
    assert calls.rows[Stage.TEXT] == 2
    assert memory.recall(Trajectory(plan(prompt="a red apple", negative_prompt=""), bundle, since=0.0)) is not None
    assert memory.recall(Trajectory(plan(prompt="a cat", negative_prompt=""), bundle, since=0.0)) is None
    assert memory.recall(Trajectory(plan(prompt="a red apple", batch_key="lora"), bundle, since=0.0)) is None


def test_memory_forgets_what_was_not_asked_for_the_longest(bundle: ModelBundle, plan: Callable[..., Plan]) -> None:
    memory = PromptMemory(2)
    jobs = [Trajectory(plan(prompt=word, guidance_scale=1.0), bundle, since=0.0) for word in ("a", "b", "c")]
    memory.remember((), Prompt("a"), Conditioning(torch.zeros(1, 1, 1)))
    memory.remember((), Prompt("b"), Conditioning(torch.zeros(1, 1, 1)))
    memory.recall(jobs[0])
    memory.remember((), Prompt("c"), Conditioning(torch.zeros(1, 1, 1)))
    assert [memory.recall(job) is not None for job in jobs] == [True, False, True]


@torch.inference_mode()
def test_variants_share_the_encoding_of_their_picture(bundle: ModelBundle, plan: Callable[..., Plan]) -> None:
    stages, calls = stages_of(bundle)
    first = plan(0, num_inference_steps=1)
    variants = [replace(first, seed=seed) for seed in range(3)]
    for group in ([variants[0], variants[1]], [variants[2]]):  # in one call, and in a later one
        jobs = [Trajectory(one, bundle, since=0.0) for one in group]
        stages.run(jobs)
        stages.run(jobs)
        assert all(one.kind is Stage.STEP for one in jobs)
    assert calls.rows[Stage.PICTURES] == 1


@torch.inference_mode()
def test_a_picture_that_comes_again_with_its_mask_is_encoded_once(
    bundle: ModelBundle, plan: Callable[..., Plan]
) -> None:
    stages, calls = stages_of(bundle)
    for seed, prompt in enumerate(("a cat", "a hat", "a dog")):
        job = Trajectory(plan(0, num_inference_steps=1, prompt=prompt, seed=seed), bundle, since=0.0)
        stages.run([job])
        stages.run([job])
    assert calls.rows[Stage.PICTURES] == 1


def test_pictures_that_were_not_asked_for_the_longest_are_forgotten() -> None:
    memory = PictureMemory(2)
    for key in ("a", "b", "a", "c"):
        if memory.recall(key) is None:
            memory.remember(key, torch.zeros(1))
    assert [memory.recall(key) is not None for key in ("a", "b", "c")] == [True, False, True]


@torch.inference_mode()
def test_another_mask_image_or_strength_is_another_picture(bundle: ModelBundle, plan: Callable[..., Plan]) -> None:
    stages, calls = stages_of(bundle)
    first = plan(0, num_inference_steps=2, strength=0.5)
    others = [replace(first, mask=first.mask.flip(2).roll(3, 1)), replace(first, image=first.image / 2)]
    for number, one in enumerate([first, *others, replace(first, strength=1.0)], start=1):
        job = Trajectory(one, bundle, since=0.0)
        stages.run([job])
        stages.run([job])
        assert calls.calls[Stage.PICTURES] == number


@torch.inference_mode()
def test_a_picture_is_forgotten_with_its_plan(bundle: ModelBundle, plan: Callable[..., Plan]) -> None:
    stages, _ = stages_of(bundle)
    job = Trajectory(plan(0), bundle, since=0.0)
    stages.run([job])
    stages.run([job])
    image = weakref.ref(job.plan.image)
    del job
    gc.collect()
    assert image() is None


class Broken(torch.nn.Module):
    """A VAE that decodes one picture of a call to NaN."""

    def __init__(self, vae: Any, poisoned: int) -> None:
        super().__init__()
        self.inner, self.poisoned = vae, poisoned

    def encode(self, pictures: torch.Tensor) -> Any:
        return self.inner.encode(pictures)

    def decode(self, latents: torch.Tensor, **kwargs: Any) -> tuple[torch.Tensor]:
        image = self.inner.decode(latents, **kwargs)[0]
        image[self.poisoned] = float("nan")
        return (image,)


@torch.inference_mode()
def test_a_picture_that_is_not_finite_fails_alone(bundle: ModelBundle, plan: Callable[..., Plan]) -> None:
    stages, _ = stages_of(replace(bundle, vae=Broken(bundle.vae, poisoned=1)))
    group = [Trajectory(plan(n, num_inference_steps=1), bundle, since=0.0) for n in range(3)]
    for _ in range(4):
        stages.run(group)
    assert [type(one.failure) for one in group] == [type(None), NonFinite, type(None)]


@torch.inference_mode()
def test_a_sampler_that_raises_ends_its_trajectory_only(
    bundle: ModelBundle, plan: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    stages, _ = stages_of(bundle)
    group = [Trajectory(plan(n, num_inference_steps=1), bundle, since=0.0) for n in range(2)]
    stages.run(group)
    stages.run(group)
    monkeypatch.setattr(group[0], "_sampler", replace_step(group[0]._sampler))
    stages.run(group)
    assert isinstance(group[0].failure, GenerationFailed)
    assert group[1].kind is Stage.DECODE


def replace_step(sampler: Any) -> Any:
    class Raising(type(sampler)):  # type: ignore[misc]
        def step(self, *_: Any) -> torch.Tensor:
            raise ZeroDivisionError("no step")

    return Raising(sampler._table)
