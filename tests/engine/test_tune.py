"""Faster layers: other classes over the same weights, and the same numbers."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.engine.layers.everywhere import EVERYWHERE

from retouch.engine.engine import Engine
from retouch.engine.layers.blocks import FastFeedForward, FastGEGLU, FastResnetBlock2D
from retouch.engine.layers.convolutions import FastConv2d, FastUpsample2D
from retouch.engine.layers.linear import ContextLinear, FastLinear
from retouch.engine.layers.tuning import Tuning
from retouch.engine.plan import Plan
from retouch.engine.settings import EngineSettings
from retouch.engine.tune import tuned
from retouch.models.bundle import ModelBundle

FASTER = (
    FastConv2d,
    FastLinear,
    ContextLinear,
    FastUpsample2D,
    FastResnetBlock2D,
    FastFeedForward,
    FastGEGLU,
)
IN_PLACE = replace(EVERYWHERE, owns_residuals=True)


def classes_of(model: torch.nn.Module) -> set[str]:
    return {type(module).__name__ for module in model.modules()}


@torch.inference_mode()
@pytest.mark.parametrize("tuning", [EVERYWHERE, replace(EVERYWHERE, winograd_cells=10**9, gather_cells=99)])
def test_unet_gives_the_same_numbers(tuning: Tuning, bundle: ModelBundle) -> None:
    sample, embeds = torch.randn(3, 9, 8, 8), torch.randn(3, 16, 32)
    timesteps = torch.tensor([999.0, 500.5, 1.0])
    plain = bundle.unet(sample, timesteps, encoder_hidden_states=embeds).sample
    fast = tuned(bundle.unet, tuning)
    assert {cls.__name__ for cls in FASTER} <= classes_of(fast)
    for _ in range(2):
        again = fast(sample, timesteps, encoder_hidden_states=embeds).sample
        torch.testing.assert_close(again, plain, rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_vae_gives_the_same_numbers(bundle: ModelBundle) -> None:
    fast = tuned(bundle.vae, IN_PLACE)
    picture, latents = torch.rand(2, 3, 32, 32) * 2 - 1, torch.randn(2, 4, 8, 8)
    posteriors = bundle.vae.encode(picture).latent_dist.parameters
    torch.testing.assert_close(fast.encode(picture).latent_dist.parameters, posteriors, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        fast.decode(latents).sample, bundle.vae.decode(latents).sample, rtol=1e-4, atol=1e-5
    )


def test_weights_are_shared_and_the_given_model_stays_as_it_is(bundle: ModelBundle) -> None:
    before = classes_of(bundle.unet)
    fast = tuned(bundle.unet, EVERYWHERE)
    assert classes_of(bundle.unet) == before
    pairs = list(zip(bundle.unet.parameters(), fast.parameters(), strict=True))
    assert all(plain is shared for plain, shared in pairs)
    assert fast.state_dict().keys() == bundle.unet.state_dict().keys()


def test_what_cannot_be_tuned_is_returned_as_it_is(bundle: ModelBundle) -> None:
    half = type(bundle.vae)(**bundle.vae.config).to(torch.float16)
    assert tuned(half, EVERYWHERE) is half
    other = torch.nn.Linear(2, 2)
    assert tuned(other, EVERYWHERE) is other
    hooked = type(bundle.vae)(**bundle.vae.config)
    hooked._hf_hook = object()
    assert tuned(hooked, EVERYWHERE) is hooked


@pytest.mark.parametrize("rows_per_call", [2, 4])
def test_tuned_layers_keep_a_row_from_seeing_its_company(
    rows_per_call: int, bundle: ModelBundle, plan: Callable[..., Plan]
) -> None:
    fast = replace(bundle, unet=tuned(bundle.unet, EVERYWHERE), vae=tuned(bundle.vae, IN_PLACE))

    def run(*plans: Plan) -> list[Any]:
        with Engine(fast, EngineSettings(rows_per_call=rows_per_call)) as engine:
            return [ticket.future.result(timeout=60) for ticket in [engine.submit(one) for one in plans]]

    (alone,) = run(plan(0))
    for company in (run(plan(1), plan(0), plan(2)), run(plan(2, num_inference_steps=6), plan(1), plan(0))):
        together = next(done for done in company if done.seed == 0)
        assert torch.equal(together.image, alone.image)
