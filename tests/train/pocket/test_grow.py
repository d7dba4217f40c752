"""A VAE of twice the factor has the latents of the one that it grew from."""

import pytest
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from retouch.train.pocket.grow import fit_encoder, grow_vae
from retouch.train.pocket.vae import build_vae


@pytest.fixture
def old() -> AutoencoderKL:
    torch.manual_seed(0)
    return build_vae((16, 16, 32), size=32).eval()


def test_a_grown_decoder_paints_the_old_picture_at_twice_the_size(old: AutoencoderKL) -> None:
    grown = grow_vae(old).eval()
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before, after = old.decode(latents).sample, grown.decode(latents).sample
    assert after.shape == (2, 3, 64, 64)
    # The last layer now mixes doubled pixels: equal where the picture is smooth, close elsewhere.
    difference = F.avg_pool2d(after, 2) - before
    assert difference.abs().mean() < 0.35 * before.std()


def test_a_fitted_encoder_gives_the_latents_of_halved_pictures(old: AutoencoderKL) -> None:
    grown = grow_vae(old).eval()
    coarse = torch.rand(12, 3, 10, 10, generator=torch.Generator().manual_seed(2)) * 2 - 1
    images = F.interpolate(coarse, size=(64, 64), mode="bicubic").clamp(-1, 1)

    def error() -> float:
        with torch.no_grad():
            wanted = old.encode(F.avg_pool2d(images, 2)).latent_dist.mean
            found = grown.encode(images).latent_dist.mean
        return float((found - wanted).square().mean() / wanted.square().mean())

    before = error()
    assert fit_encoder(grown, old, images, steps=200) < 0.02
    assert error() < 0.1 * before
