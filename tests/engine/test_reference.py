"""Reference mode gives the numbers of diffusers' StableDiffusionInpaintPipeline, drawn and truncated as there."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from retouch.engine.engine import Engine
from retouch.engine.plan import Plan
from retouch.engine.settings import EngineSettings
from retouch.engine.ticket import Denoised
from retouch.errors import InvalidField
from retouch.imaging.region import plan_region

DETERMINISTIC = (
    "DDIMScheduler",
    "DPMSolverMultistepScheduler",
    "EulerDiscreteScheduler",
    "HeunDiscreteScheduler",
    "LMSDiscreteScheduler",
    "PNDMScheduler",
    "UniPCMultistepScheduler",
)
STOCHASTIC = ("EulerAncestralDiscreteScheduler", "LCMScheduler")
Theirs = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], int]


def theirs(checkpoint: Any, plan: Plan, scheduler: str) -> Theirs:
    """Run diffusers' own pipeline on a plan: latents (C, h, w), picture (H, W, 3) in [0, 1], UNet calls."""
    pipe, last = checkpoint.pipe, {}
    pipe.scheduler = getattr(diffusers, scheduler).from_config(checkpoint.scheduler_config)
    height, width = plan.image.shape[1:]

    def keep(_pipe: Any, step: int, _timestep: Any, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        last.update(step=step, latents=tensors["latents"])
        return tensors

    output = pipe(
        prompt=plan.prompt,
        negative_prompt=plan.negative_prompt,
        image=plan.image[None],
        mask_image=plan.mask[None],
        height=height,
        width=width,
        num_inference_steps=plan.num_inference_steps,
        guidance_scale=plan.guidance_scale,
        strength=plan.strength,
        generator=torch.Generator().manual_seed(plan.seed),
        callback_on_step_end=keep,
        output_type="np",
    )
    return last["latents"][0].numpy(), output.images[0], last["step"] + 1


def assert_equal(expected: Theirs, ours: Denoised) -> None:
    latents, pixels, calls = expected
    scale = max(1.0, float(np.abs(latents).max()))
    np.testing.assert_allclose(ours.latents.numpy() / scale, latents / scale, rtol=0.0, atol=1e-4)
    levels = (ours.image.permute(1, 2, 0).numpy() * 255).round()
    assert np.abs((pixels * 255).round() - levels).max() <= 1
    assert ours.calls == calls


@pytest.fixture
def reference(plan: Callable[..., Plan]) -> Callable[..., Plan]:
    """Make a plan in reference mode."""

    def make(number: int = 1, **changes: Any) -> Plan:
        fields = {"num_inference_steps": 6, "latent_mask": "nearest", "reference": True}
        return plan(number, **{**fields, **changes})

    return make


Fixtures = tuple[Callable[..., Any], Callable[..., Plan], Callable[..., Denoised]]


@pytest.fixture
def parts(
    checkpoint: Callable[..., Any], reference: Callable[..., Plan], run_alone: Callable[..., Denoised]
) -> Fixtures:
    return checkpoint, reference, run_alone


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Passing `image` as torch tensor")
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("in_channels", [9, 4])
@pytest.mark.parametrize("guidance_scale", [1.0, 7.5])
@pytest.mark.parametrize("strength", [0.4, 0.7, 1.0])
@pytest.mark.parametrize("scheduler", [*DETERMINISTIC, *STOCHASTIC])
def test_every_combination_equals_the_pipeline(
    scheduler: str, strength: float, guidance_scale: float, in_channels: int, prediction_type: str, parts: Fixtures
) -> None:
    checkpoint, reference, run_alone = parts
    # PNDM alone needs a key (`skip_prk_steps`) that a config written for DDIM may lack.
    own = "PNDM" if scheduler == "PNDMScheduler" else "DDIM"
    tiny = checkpoint(in_channels=in_channels, prediction_type=prediction_type, scheduler=own)
    job = reference(scheduler=scheduler, strength=strength, guidance_scale=guidance_scale)
    assert_equal(theirs(tiny, job, scheduler), run_alone(tiny.bundle(), job))


@pytest.mark.filterwarnings("ignore:Passing `image` as torch tensor")
@pytest.mark.parametrize("in_channels", [9, 4])
@pytest.mark.parametrize("scheduler", [*DETERMINISTIC, *STOCHASTIC])
def test_each_scheduler_equals_the_pipeline(scheduler: str, in_channels: int, parts: Fixtures) -> None:
    test_every_combination_equals_the_pipeline(scheduler, 0.7, 7.5, in_channels, "epsilon", parts)


@pytest.mark.filterwarnings("ignore:Passing `image` as torch tensor")
@pytest.mark.parametrize("size", [(48, 32), (16, 64), (40, 40)])
@pytest.mark.parametrize("in_channels", [9, 4])
def test_pictures_that_are_not_square_equal_the_pipeline(
    size: tuple[int, int], in_channels: int, parts: Fixtures
) -> None:
    checkpoint, reference, run_alone = parts
    tiny = checkpoint(in_channels=in_channels)
    job = reference(height=size[0], width=size[1], strength=0.7)
    assert_equal(theirs(tiny, job, "DDIMScheduler"), run_alone(tiny.bundle(), job))


@pytest.mark.filterwarnings("ignore:Passing `image` as torch tensor")
@pytest.mark.parametrize("strength", [0.6, 1.0])
@pytest.mark.parametrize("in_channels", [9, 4])
@pytest.mark.parametrize("vae", ["asymmetric", "tiny"])
def test_other_vaes_equal_the_pipeline(vae: str, in_channels: int, strength: float, parts: Fixtures) -> None:
    checkpoint, reference, run_alone = parts
    tiny = checkpoint(in_channels=in_channels, vae=vae)
    job = reference(strength=strength, scheduler="EulerAncestralDiscreteScheduler", height=32, width=48)
    assert_equal(theirs(tiny, job, "EulerAncestralDiscreteScheduler"), run_alone(tiny.bundle(), job))


@pytest.mark.filterwarnings("ignore:Passing `image` as torch tensor")
@pytest.mark.parametrize("scheduler", ["DDIM", "PNDM", "Euler", "EulerAncestral", "DPM++"])
def test_unnamed_scheduler_is_the_checkpoints_own(scheduler: str, parts: Fixtures) -> None:
    checkpoint, reference, run_alone = parts
    tiny = checkpoint(scheduler=scheduler)
    bundle, job = tiny.bundle(), reference()
    assert_equal(theirs(tiny, job, bundle.scheduler_class), run_alone(bundle, job))


@pytest.mark.filterwarnings("ignore:Passing `image` as torch tensor")
def test_strength_is_truncated_as_in_the_pipeline_only_in_reference_mode(
    parts: Fixtures, plan: Callable[..., Plan]
) -> None:
    # 50 * 0.58 is 28.999999999999996 in floats, and int() makes 28 of it; we make the 29 steps that were meant.
    checkpoint, reference, run_alone = parts
    tiny = checkpoint()
    job = reference(num_inference_steps=50, strength=0.58)
    assert theirs(tiny, job, "DDIMScheduler")[2] == 28
    assert run_alone(tiny.bundle(), job).calls == 28
    assert run_alone(tiny.bundle(), plan(num_inference_steps=50, strength=0.58)).calls == 29


def test_a_strength_below_one_step_is_an_error_only_in_reference_mode(
    parts: Fixtures, plan: Callable[..., Plan]
) -> None:
    checkpoint, reference, run_alone = parts
    tiny = checkpoint()
    with pytest.raises(ValueError, match="< 1"):
        theirs(tiny, reference(strength=0.05), "DDIMScheduler")
    with pytest.raises(InvalidField, match="strength"):
        run_alone(tiny.bundle(), reference(strength=0.05))
    assert run_alone(tiny.bundle(), plan(num_inference_steps=6, strength=0.05)).calls == 1


@pytest.mark.filterwarnings("ignore:Passing `image` as torch tensor")
def test_strength_changes_the_noise_of_a_seed_only_in_reference_mode(
    parts: Fixtures, plan: Callable[..., Plan]
) -> None:
    # The pipeline draws the image's posterior sample before the noise wherever it encodes the image: strength 0.99
    # starts from another noise than 1.0. Serving draws the noise first, always.
    checkpoint, reference, run_alone = parts
    tiny = checkpoint()
    bundle = tiny.bundle()

    def distance(make: Callable[..., Plan]) -> float:
        whole, almost = (run_alone(bundle, make(num_inference_steps=10, strength=s)).latents for s in (1.0, 0.99))
        return float((whole - almost).abs().mean())

    assert distance(plan) < 0.5 * distance(reference)


@pytest.mark.filterwarnings("ignore:Passing `image` as torch tensor")
def test_a_seed_in_company_is_its_picture_alone_unlike_the_pipelines(parts: Fixtures) -> None:
    # Given several generators and one image, the pipeline draws the masked image's sample from the first of them
    # for all: picture k is then not the picture of its seed.
    checkpoint, reference, _ = parts
    tiny = checkpoint()
    jobs = [reference(seed=seed, num_inference_steps=3) for seed in (5, 6)]
    tiny.pipe.scheduler = diffusers.DDIMScheduler.from_config(tiny.scheduler_config)
    together = tiny.pipe(
        prompt=jobs[0].prompt,
        negative_prompt=jobs[0].negative_prompt,
        image=jobs[0].image[None],
        mask_image=jobs[0].mask[None],
        height=jobs[0].image.shape[1],
        width=jobs[0].image.shape[2],
        num_inference_steps=3,
        guidance_scale=jobs[0].guidance_scale,
        strength=1.0,
        num_images_per_prompt=2,
        generator=[torch.Generator().manual_seed(job.seed) for job in jobs],
        output_type="latent",
    ).images
    alone = theirs(tiny, replace(jobs[1], strength=1.0), "DDIMScheduler")[0]
    assert np.abs(together[1].numpy() - alone).max() > 1e-3
    with Engine(tiny.bundle(), EngineSettings(rows_per_call=4)) as engine:
        ours = [ticket.future.result(timeout=60) for ticket in [engine.submit(job) for job in jobs]]
    for job, done in zip(jobs, ours):
        assert_equal(theirs(tiny, job, "DDIMScheduler"), done)


def test_no_padding_is_no_crop_of_its_own_unlike_the_pipelines(parts: Fixtures) -> None:
    # `padding_mask_crop=0` crops in the pipeline, for it asks for None. Here the region decides about the crop,
    # and the padding about its context.
    checkpoint, reference, _ = parts
    tiny, job = checkpoint(), reference(num_inference_steps=2)
    image, mask = (Image.fromarray(part) for part in pixels_of(job))
    pictures = [
        np.asarray(
            tiny.pipe(
                prompt=job.prompt,
                image=image,
                mask_image=mask,
                height=32,
                width=32,
                num_inference_steps=2,
                generator=torch.Generator().manual_seed(0),
                padding_mask_crop=padding,
            ).images[0]
        )
        for padding in (None, 0)
    ]
    assert (pictures[0] != pictures[1]).any()
    hole = np.asarray(mask) > 127
    regions = [plan_region(hole, mode="whole", native_size=32, size_multiple=8, padding_px=p) for p in (None, 0)]
    assert regions[0] == regions[1]


def pixels_of(job: Plan) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return (H, W, 3) and (H, W) bytes of a plan's image and mask."""
    image = ((job.image.permute(1, 2, 0) + 1) * 127.5).round().to(torch.uint8).numpy()
    return image, (job.mask[0] * 255).to(torch.uint8).numpy()
