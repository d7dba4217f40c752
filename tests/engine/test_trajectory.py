"""A trajectory: what it asks the models for, and what it draws."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from retouch.engine.conditioning import Conditioning
from retouch.engine.plan import Plan
from retouch.engine.scheduler import Stage
from retouch.engine.trajectory import Trajectory
from retouch.errors import InvalidField
from retouch.models.bundle import ModelBundle

TEXT = Conditioning(torch.zeros(1, 16, 32))


def posteriors_of(count: int, *, height: int = 8, width: int = 8) -> torch.Tensor:
    """Return posteriors with means of 1, 2, ... and no variance worth the name."""
    means = torch.arange(1.0, count + 1)[:, None, None, None].expand(count, 4, height, width)
    return torch.cat([means, torch.full_like(means, -30.0)], dim=1)


def started(plan: Plan, bundle: ModelBundle) -> Trajectory:
    trajectory = Trajectory(plan, bundle, since=0.0)
    trajectory.take_conditioning([TEXT] * len(trajectory.prompts))
    trajectory.take_posteriors(posteriors_of(len(trajectory.pictures())))
    return trajectory


@pytest.mark.parametrize(("guidance_scale", "rows"), [(7.5, 2), (1.01, 2), (1.0, 1), (0.0, 1)])
def test_guidance_of_one_and_below_is_one_row(
    guidance_scale: float, rows: int, bundle: ModelBundle, plan: Callable[..., Plan]
) -> None:
    trajectory = Trajectory(plan(guidance_scale=guidance_scale), bundle, since=0.0)
    assert trajectory.unet_rows == rows
    assert len(trajectory.prompts) == rows


@pytest.mark.parametrize(
    ("in_channels", "strength", "pictures"), [(9, 1.0, 1), (9, 0.9, 2), (4, 1.0, 1), (4, 0.5, 1)]
)
def test_only_the_pictures_that_are_used_are_encoded(
    in_channels: int, strength: float, pictures: int, checkpoint: Callable[..., Any], plan: Callable[..., Plan]
) -> None:
    trajectory = Trajectory(plan(strength=strength), checkpoint(in_channels=in_channels).bundle(), since=0.0)
    trajectory.take_conditioning([TEXT, TEXT])
    assert len(trajectory.pictures()) == pictures == trajectory.rows


def test_masked_image_is_encoded_last_and_concatenated_last(
    bundle: ModelBundle, plan: Callable[..., Plan]
) -> None:
    trajectory = started(plan(strength=0.5), bundle)
    row = trajectory.unet_rows_now()[0].sample
    assert row.shape == (9, 8, 8)
    assert set(row[4].unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(row[5:], torch.full((4, 8, 8), 2.0 * bundle.scaling_factor))


def test_noise_is_that_of_the_seed_on_the_cpu_whatever_the_strength(
    bundle: ModelBundle, plan: Callable[..., Plan]
) -> None:
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(5))
    latents = started(plan(seed=5), bundle).final_latents()
    torch.testing.assert_close(latents, noise[0])
    partly = started(plan(seed=5, strength=0.5, num_inference_steps=2), bundle)
    image = 1.0 * bundle.scaling_factor
    alpha, sigma = partly._sampler.level(0)
    torch.testing.assert_close(partly.final_latents(), alpha * image + sigma * noise[0])


@pytest.mark.parametrize("content", ["original", "noise", "zeros"])
def test_masked_content_is_in_the_hole_before_noise(
    content: str, bundle: ModelBundle, plan: Callable[..., Plan]
) -> None:
    trajectory = started(plan(strength=0.5, masked_content=content), bundle)
    hole = trajectory._cells[0, 0] > 0.5
    inside, outside = trajectory._image_latents[0][:, hole], trajectory._image_latents[0][:, ~hole]
    kept = torch.full_like(outside, bundle.scaling_factor)
    torch.testing.assert_close(outside, kept)
    if content == "noise":
        assert inside.std() > 0.5
    else:
        expected = 0.0 if content == "zeros" else bundle.scaling_factor
        torch.testing.assert_close(inside, torch.full_like(inside, expected))


def test_stages_follow_each_other(bundle: ModelBundle, plan: Callable[..., Plan]) -> None:
    trajectory = Trajectory(plan(num_inference_steps=2), bundle, since=0.0)
    kinds = [trajectory.kind]
    trajectory.take_conditioning([TEXT, TEXT])
    kinds.append(trajectory.kind)
    trajectory.take_posteriors(posteriors_of(1))
    while trajectory.kind is Stage.STEP:
        kinds.append(trajectory.kind)
        trajectory.take_predictions(trajectory.unet_rows_now(), torch.zeros(2, 4, 8, 8))
    assert [*kinds, trajectory.kind] == [
        Stage.TEXT,
        Stage.PICTURES,
        Stage.STEP,
        Stage.STEP,
        Stage.DECODE,
    ]


def test_guidance_goes_from_the_negative_towards_the_prompt(
    bundle: ModelBundle, plan: Callable[..., Plan]
) -> None:
    def latents(predictions: torch.Tensor, **changes: Any) -> torch.Tensor:
        trajectory = started(plan(scheduler="Euler", **changes), bundle)
        trajectory.take_predictions(trajectory.unet_rows_now(), predictions)
        return trajectory.final_latents()

    negative, positive = torch.full((2, 1, 4, 8, 8), 0.25)
    positive = positive + 1.0
    guided = latents(torch.cat([negative, positive]), guidance_scale=3.0)
    alone = latents(negative + 3.0 * (positive - negative), guidance_scale=1.0)
    torch.testing.assert_close(guided, alone)


def test_kept_cells_of_a_blend_end_as_the_image(checkpoint: Callable[..., Any], plan: Callable[..., Plan]) -> None:
    bundle = checkpoint(in_channels=4).bundle()
    trajectory = started(plan(num_inference_steps=3), bundle)
    while trajectory.kind is Stage.STEP:
        trajectory.take_predictions(trajectory.unet_rows_now(), torch.randn(2, 4, 8, 8))
    kept = trajectory._cells[0, 0] < 0.5
    ends = trajectory.final_latents()
    torch.testing.assert_close(ends[:, kept], torch.full_like(ends[:, kept], bundle.scaling_factor))
    assert not torch.allclose(ends[:, ~kept], torch.full_like(ends[:, ~kept], bundle.scaling_factor))


def test_progress_shows_the_latest_x0(bundle: ModelBundle, plan: Callable[..., Plan]) -> None:
    trajectory = started(plan(num_inference_steps=4), bundle)
    assert (trajectory.progress().step, trajectory.progress().total) == (0, 4)
    assert trajectory.progress().preview() is None
    trajectory.take_predictions(trajectory.unet_rows_now(), torch.zeros(2, 4, 8, 8))
    preview = trajectory.progress().preview()
    assert trajectory.progress().step == 1
    assert preview is not None
    assert preview.shape == (3, 8, 8)


def test_only_plans_of_equal_shape_and_batch_key_share_a_step(
    bundle: ModelBundle, plan: Callable[..., Plan]
) -> None:
    same, other, wide, keyed = (
        started(plan(0), bundle),
        started(plan(1, num_inference_steps=9, scheduler="Heun", strength=0.5), bundle),
        Trajectory(plan(width=64), bundle, since=0.0),
        started(plan(batch_key="lora"), bundle),
    )
    wide.take_conditioning([TEXT, TEXT])
    wide.take_posteriors(posteriors_of(1, width=16))
    assert same.key == other.key
    assert same.key != wide.key
    assert same.key != keyed.key


def test_sides_that_do_not_divide_are_an_error(bundle: ModelBundle, plan: Callable[..., Plan]) -> None:
    with pytest.raises(InvalidField, match="36x32"):
        Trajectory(plan(width=36), bundle, since=0.0)


def test_distilled_unets_take_guidance_as_an_input_in_one_row(
    bundle: ModelBundle, plan: Callable[..., Plan], checkpoint: Callable[..., Any]
) -> None:
    unet = type(bundle.unet)(**{**bundle.unet.config, "time_cond_proj_dim": 10})
    trajectory = started(plan(guidance_scale=8.5), replace(bundle, unet=unet))
    expected = checkpoint().pipe.get_guidance_scale_embedding(torch.tensor([7.5]), embedding_dim=10)
    (row,) = trajectory.unet_rows_now()
    torch.testing.assert_close(row.guidance, expected[0], rtol=1e-4, atol=1e-4)
