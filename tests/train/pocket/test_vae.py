"""The VAE's training, its losses and its latents."""

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL

from retouch.train.pocket.vae import (
    VaeRecipe,
    VaeTrainer,
    build_vae,
    cosine_rate,
    gradient_loss,
    standardise_latents,
    train_vae,
)
from retouch.train.storage import load_state


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_vae_has_a_factor_of_four_and_four_latent_channels(images: torch.Tensor) -> None:
    vae = build_vae((8, 8, 16))
    latents = vae.encode(images).latent_dist.mean
    assert latents.shape == (4, 4, 8, 8)
    assert vae.decode(latents).sample.shape == images.shape


def test_standardised_latents_have_no_mean_and_unit_deviation_and_the_round_trip_stays(
    images: torch.Tensor,
) -> None:
    torch.manual_seed(0)
    vae = build_vae((8, 8, 16)).eval()
    with torch.no_grad():
        before = vae.encode(images).latent_dist
        round_trip = vae.decode(before.mean).sample
        std = before.mean.std(dim=(0, 2, 3))
        standardise_latents(vae, before.mean.mean(dim=(0, 2, 3)), std)
        after = vae.encode(images).latent_dist
        torch.testing.assert_close(vae.decode(after.mean).sample, round_trip, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(after.mean.mean(dim=(0, 2, 3)), torch.zeros(4), rtol=0, atol=1e-4)
    torch.testing.assert_close(after.mean.std(dim=(0, 2, 3)), torch.ones(4), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(after.std * std.view(1, 4, 1, 1), before.std, rtol=1e-3, atol=1e-5)


def test_gradient_loss_ignores_brightness_and_sees_edges() -> None:
    flat = torch.zeros(1, 3, 8, 8)
    assert float(gradient_loss(flat, flat + 0.3)) == 0.0
    edged = flat.clone()
    edged[..., 4:] = 1.0
    # One of seven column differences is 1, no row difference is.
    assert float(gradient_loss(edged, flat)) == pytest.approx(1 / 7)


def test_learning_rate_rises_and_falls_to_zero() -> None:
    found = [cosine_rate(1.0, progress / 100) for progress in range(101)]
    assert found[2] == pytest.approx(1.0)
    assert found[1] == pytest.approx(0.5)
    assert found[100] == pytest.approx(0.0, abs=1e-6)


def test_decoder_only_training_leaves_the_encoder_without_gradients(data_dir: Path, tmp_path: Path) -> None:
    recipe = VaeRecipe(data_dir=data_dir, run_dir=tmp_path, channels=(8, 8, 16), train_decoder_only=True)
    vae = VaeTrainer(recipe).vae
    trained = {name.split(".")[0] for name, parameter in vae.named_parameters() if parameter.requires_grad}
    assert trained == {"decoder", "post_quant_conv"}


@pytest.mark.slow
def test_short_training_saves_a_vae_and_a_checkpoint_to_go_on_from(data_dir: Path, tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    recipe = VaeRecipe(
        data_dir=data_dir, run_dir=tmp_path, channels=(8, 8, 16), steps=4, batch=2, crop=32, log_every=1
    )
    folder = train_vae(recipe)
    assert load_state(tmp_path / "checkpoint.pt")["step"] == 4
    vae = AutoencoderKL.from_pretrained(folder)
    assert vae.config.scaling_factor == 1.0
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 4
