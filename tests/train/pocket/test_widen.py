"""A wider decoder that sees kept pixels begins as the plain one that it was made from."""

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL

from retouch.errors import InvalidField
from retouch.models.vae import load_vae
from retouch.train.pocket.vae import build_vae
from retouch.train.pocket.widen import widen_decoder

WIDTHS = (8, 16, 32, 64)


@pytest.fixture
def old() -> AutoencoderKL:
    torch.manual_seed(0)
    return build_vae((8, 8, 16, 32), size=64).eval()


@torch.no_grad()
def test_its_latents_are_the_same_and_its_pictures_are_at_first(old: AutoencoderKL) -> None:
    new = widen_decoder(old, WIDTHS)
    image = torch.rand(2, 3, 64, 64) * 2 - 1
    latents = old.encode(image).latent_dist.mean
    torch.testing.assert_close(new.encode(image).latent_dist.mean, latents, atol=1e-5, rtol=1e-5)
    wanted = old.decode(latents).sample
    everything = torch.ones(2, 1, 64, 64)
    torch.testing.assert_close(new.decode(latents).sample, wanted, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(
        new.decode(latents, image=image, mask=everything).sample, wanted, atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize(
    "widths", [(8, 16, 32), (8, 16, 16, 32), (12, 24, 48, 96), (4, 8, 16, 32), (8, 16, 32, 32)]
)
def test_widths_that_diffusers_or_the_old_decoder_cannot_have_are_an_error(
    old: AutoencoderKL, widths: tuple[int, ...]
) -> None:
    with pytest.raises(InvalidField, match="widths"):
        widen_decoder(old, widths)


def test_twins_learn_apart(old: AutoencoderKL) -> None:
    new = widen_decoder(old, WIDTHS)
    latents = torch.randn(1, 4, 8, 8)
    new.decode(latents).sample.square().mean().backward()
    gradient = new.decoder.up_blocks[1].resnets[0].conv1.weight.grad
    assert gradient is not None
    assert (gradient[0::2] - gradient[1::2]).abs().max() > 1e-3 * gradient.abs().max()


@torch.no_grad()
def test_a_folder_says_of_which_kind_its_vae_is(old: AutoencoderKL, tmp_path: Path) -> None:
    latents = torch.randn(1, 4, 8, 8)
    for name, vae in (("old", old), ("new", widen_decoder(old, WIDTHS))):
        vae.save_pretrained(tmp_path / name)
        assert torch.equal(load_vae(tmp_path / name).decode(latents).sample, vae.decode(latents).sample)
