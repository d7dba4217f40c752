"""The forward process against diffusers' own."""

import pytest
import torch
from diffusers import DDIMScheduler

from retouch.errors import ModelUnsupported
from retouch.models.schedulers import own_scheduler
from retouch.train.noise import NoiseSchedule
from retouch.train.origin import fresh_scheduler


def reference() -> DDIMScheduler:
    return own_scheduler(fresh_scheduler("v_prediction"))


def test_alphas_are_those_that_the_exported_scheduler_uses() -> None:
    torch.testing.assert_close(
        NoiseSchedule.scaled_linear().alphas_cumprod, reference().alphas_cumprod, rtol=1e-5, atol=1e-7
    )


def test_noisy_latents_and_velocity_equal_those_of_diffusers() -> None:
    generator = torch.Generator().manual_seed(1)
    latents, noise = (torch.randn(4, 4, 3, 3, generator=generator) for _ in range(2))
    timesteps = torch.tensor([0, 10, 500, 999])
    ours = NoiseSchedule.scaled_linear()
    torch.testing.assert_close(
        ours.add_noise(latents, noise, timesteps), reference().add_noise(latents, noise, timesteps)
    )
    torch.testing.assert_close(
        ours.target("v_prediction", latents, noise, timesteps), reference().get_velocity(latents, noise, timesteps)
    )


def test_epsilon_target_is_the_noise_itself() -> None:
    noise = torch.randn(1, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    ours = NoiseSchedule.scaled_linear()
    assert ours.target("epsilon", torch.zeros_like(noise), noise, torch.tensor([5])) is noise


def test_clean_latents_can_be_recovered_from_the_velocity() -> None:
    generator = torch.Generator().manual_seed(2)
    latents, noise = (torch.randn(2, 4, 3, 3, generator=generator) for _ in range(2))
    timesteps = torch.tensor([3, 900])
    ours = NoiseSchedule.scaled_linear()
    signal, spread = ours.scales(timesteps)
    noisy = ours.add_noise(latents, noise, timesteps)
    velocity = ours.target("v_prediction", latents, noise, timesteps)
    torch.testing.assert_close(signal * noisy - spread * velocity, latents, rtol=1e-4, atol=1e-5)


def test_snr_falls_with_the_timestep() -> None:
    snr = NoiseSchedule.scaled_linear().snr(torch.arange(1000))
    assert bool((snr.diff() < 0).all())


def test_schedule_of_a_checkpoint_is_that_of_its_scheduler() -> None:
    config = fresh_scheduler("v_prediction") | {"beta_schedule": "linear", "beta_end": 0.02}
    scheduler = own_scheduler(config)
    assert torch.equal(NoiseSchedule.of_scheduler(scheduler).alphas_cumprod, scheduler.alphas_cumprod)


def test_schedule_of_other_than_a_thousand_timesteps_is_refused() -> None:
    with pytest.raises(ModelUnsupported, match="1000"):
        NoiseSchedule.of_scheduler(own_scheduler(fresh_scheduler("epsilon") | {"num_train_timesteps": 500}))
