"""Prompts of any length and syntax share the engine, and change nothing for each other."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.as_diffusers import dummy_text_encoder

from retouch.engine.calls import ModelCalls
from retouch.engine.engine import Engine
from retouch.engine.plan import Plan
from retouch.engine.settings import EngineSettings
from retouch.engine.ticket import Denoised
from retouch.engine.trajectory import Trajectory
from retouch.errors import InvalidField
from retouch.models.bundle import ModelBundle
from retouch.prompts import Prompt

LONG = "a red apple on the bench in the park, a (green:1.3) hat, a cat, a dog"  # two chunks of 14
LONGER = f"{LONG} BREAK {LONG} BREAK [blue]"  # five
MIXED: tuple[dict[str, Any], ...] = (
    {"prompt": LONG, "prompt_syntax": "a1111"},
    {"prompt": LONG, "prompt_syntax": "plain"},
    {"prompt": "a cat", "negative_prompt": LONGER, "prompt_syntax": "a1111"},
    {"prompt": LONGER, "negative_prompt": LONG, "prompt_syntax": "a1111", "scheduler": "Euler"},
    {"prompt": LONG, "prompt_syntax": "a1111", "guidance_scale": 1.0, "num_inference_steps": 6},
    {"prompt": "a (cat:1.4)", "prompt_syntax": "a1111", "strength": 0.5},
)


def run(bundle: ModelBundle, *plans: Plan, rows_per_call: int = 2) -> list[Denoised]:
    with Engine(bundle, EngineSettings(rows_per_call=rows_per_call)) as engine:
        tickets = [engine.submit(plan) for plan in plans]
        return [ticket.future.result(timeout=60) for ticket in tickets]


@pytest.mark.parametrize("rows_per_call", [2, 4])
def test_fixed_rows_give_the_same_bits_in_company_of_any_length(
    rows_per_call: int, bundle: ModelBundle, plan: Callable[..., Plan]
) -> None:
    jobs = [plan(number, **changes) for number, changes in enumerate(MIXED)]
    alone = [run(bundle, job, rows_per_call=rows_per_call)[0] for job in jobs]
    for one, other in zip(alone, run(bundle, *jobs, rows_per_call=rows_per_call), strict=True):
        assert torch.equal(one.image, other.image)


def test_free_rows_are_within_one_level_in_company_of_any_length(
    bundle: ModelBundle, plan: Callable[..., Plan]
) -> None:
    jobs = [plan(number, **changes) for number, changes in enumerate(MIXED)]
    alone = [run(bundle, job, rows_per_call=0)[0] for job in jobs]
    for one, other in zip(alone, run(bundle, *jobs, rows_per_call=0), strict=True):
        assert float((one.image - other.image).abs().max()) <= 1 / 255


def test_a_prompt_without_marks_gives_the_same_picture_in_both_syntaxes(
    bundle: ModelBundle, plan: Callable[..., Plan]
) -> None:
    plain, read = run(bundle, plan(2), plan(2, prompt_syntax="a1111"))
    assert torch.equal(plain.image, read.image)


def test_a_remembered_text_of_another_syntax_is_another_prompt(
    bundle: ModelBundle, plan: Callable[..., Plan]
) -> None:
    plain, read = (plan(prompt="a (red:1.4) cat", prompt_syntax=syntax) for syntax in ("plain", "a1111"))
    together = run(bundle, plain, read)
    assert not torch.equal(together[0].image, together[1].image)
    assert torch.equal(run(bundle, read)[0].image, together[1].image)


def embeds_of(bundle: ModelBundle, text: str) -> torch.Tensor:
    with torch.inference_mode():
        (found,) = ModelCalls(bundle, EngineSettings()).embed([Prompt(text, "a1111")])
        return found.embeds.clone()


@pytest.mark.parametrize(
    ("negative_prompt", "repeats"),
    [
        (LONG.replace("red", "blue"), 1),
        # Of keys that stand there twice each has half the weight: attention finds the same. So diffusers, which
        # wants embeddings of one length, tells what a short prompt does by itself.
        ("a dog", 2),
        ("", 2),
    ],
)
def test_long_prompts_are_denoised_as_by_diffusers(
    negative_prompt: str, repeats: int, checkpoint: Callable[..., Any], plan: Callable[..., Plan]
) -> None:
    tiny = checkpoint()
    bundle = tiny.bundle()
    job = plan(
        prompt=LONG, negative_prompt=negative_prompt, prompt_syntax="a1111", reference=True, latent_mask="nearest"
    )
    (ours,) = run(bundle, job)
    expected = tiny.pipe(
        prompt_embeds=embeds_of(bundle, job.prompt),
        negative_prompt_embeds=embeds_of(bundle, negative_prompt).repeat(1, repeats, 1),
        image=job.image[None],
        mask_image=job.mask[None],
        height=32,
        width=32,
        num_inference_steps=job.num_inference_steps,
        guidance_scale=job.guidance_scale,
        generator=torch.Generator().manual_seed(job.seed),
        output_type="latent",
    ).images[0]
    torch.testing.assert_close(ours.latents, expected, rtol=1e-3, atol=1e-4)


def test_the_negative_prompt_leaves_out_as_many_layers_but_in_reference_mode(
    bundle: ModelBundle, plan: Callable[..., Plan]
) -> None:
    deep = replace(bundle, text_encoder=dummy_text_encoder())
    skips = [
        [prompt.clip_skip for prompt in Trajectory(plan(clip_skip=2, reference=mode), deep, since=0.0).prompts]
        for mode in (False, True)
    ]
    assert skips == [[2, 2], [0, 2]]


@pytest.mark.parametrize(
    "changes", [{"prompt": "[a:b:0.5]"}, {"negative_prompt": "<lora:a:1>"}, {"prompt": "a", "clip_skip": 1}]
)
def test_what_cannot_be_read_is_not_queued(
    changes: dict[str, Any], engine: Engine, plan: Callable[..., Plan]
) -> None:
    with pytest.raises(InvalidField):
        engine.submit(plan(**changes, prompt_syntax="a1111"))
