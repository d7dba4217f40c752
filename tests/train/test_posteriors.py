"""Posteriors of pictures and masked pictures, against the VAE's own."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from retouch.data.compose import SceneComposer
from retouch.train import posteriors
from retouch.train.posteriors import PictureEncoder, latent_mask, masked_image, posteriors_of, to_unit_range


def test_fully_masked_scene_has_the_latents_of_a_grey_picture(vae_dir: Path, data_dir: Path) -> None:
    composer = SceneComposer.open(data_dir, size=32, split="train")
    scenes = [composer.scene(np.random.default_rng((0, number))) for number in range(16)]
    vae = AutoencoderKL.from_pretrained(vae_dir).eval()
    # Before the encoder lays it out channels-last, where a flat picture loses digits.
    grey = vae.encode(torch.zeros(1, 3, 32, 32)).latent_dist.mean[0] * vae.config.scaling_factor
    images = torch.from_numpy(np.stack([scene.image for scene in scenes]))
    masks = torch.from_numpy(np.stack([scene.mask for scene in scenes]))
    found = PictureEncoder(vae, size=32).encode(images, masks)
    full = [number for number, scene in enumerate(scenes) if scene.mask.all()]
    assert full
    for number in full:
        torch.testing.assert_close(found[number, 1, 0], grey.detach(), rtol=1e-4, atol=1e-5)


def test_a_shift_of_the_latents_is_taken_off_as_in_inpainting(vae_dir: Path) -> None:
    vae = AutoencoderKL.from_pretrained(vae_dir).eval()
    image = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        plain = posteriors_of(vae, image)
        vae.register_to_config(shift_factor=0.5, scaling_factor=2.0)
        shifted = posteriors_of(vae, image)
    torch.testing.assert_close(shifted[:, 0], (plain[:, 0] - 0.5) * 2.0)
    torch.testing.assert_close(shifted[:, 1], plain[:, 1] * 2.0)


def test_masked_image_is_zero_in_the_hole_and_untouched_elsewhere() -> None:
    images = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(2, 1, 4, 4)
    mask[:, :, :2] = 1.0
    hidden = masked_image(images, mask)
    assert not hidden[:, :, :2].any()
    assert torch.equal(hidden[:, :, 2:], images[:, :, 2:])


def test_thin_stroke_survives_the_cover_rule_alone() -> None:
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 5] = 1.0
    assert latent_mask(mask, 4, rule="cover").sum() == 4
    assert latent_mask(mask, 4, rule="nearest").sum() == 0


def test_bytes_become_the_unit_range() -> None:
    found = to_unit_range(torch.tensor([[[[0, 255, 127]]]], dtype=torch.uint8))
    torch.testing.assert_close(found.flatten(), torch.tensor([-1.0, 1.0, -0.00392157]))


def test_pictures_are_encoded_a_few_a_call(vae_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vae = AutoencoderKL.from_pretrained(vae_dir).eval()
    images = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2.0 - 1.0
    with torch.no_grad():
        alone = torch.cat([posteriors_of(vae, image[None]) for image in images])
        calls: list[int] = []
        vae.encoder.register_forward_pre_hook(lambda _module, given: calls.append(len(given[0])))
        monkeypatch.setattr(posteriors, "CPU_CALL_PIXELS", 2 * 32 * 32)
        found = posteriors_of(vae, images)
    assert calls == [2, 2, 1]
    torch.testing.assert_close(found, alone)
