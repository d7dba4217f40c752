"""The surgery from 4 to 9 input channels."""

from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel

from retouch.train.surgery import widen_input


@pytest.fixture
def unet(unet_arguments: dict[str, Any]) -> UNet2DConditionModel:
    torch.manual_seed(0)
    return UNet2DConditionModel(**unet_arguments).eval()


@torch.inference_mode()
def test_output_right_after_the_surgery_is_that_of_the_four_channel_model(unet: UNet2DConditionModel) -> None:
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(2, 4, 8, 8, generator=generator)
    conditioning = torch.randn(2, 5, 8, 8, generator=generator)
    prompt_embeds = torch.randn(2, 7, 16, generator=generator)
    timesteps = torch.tensor([1, 700])
    before = unet(latents, timesteps, prompt_embeds).sample
    widened = widen_input(unet)
    after = widened(torch.cat([latents, conditioning], dim=1), timesteps, prompt_embeds).sample
    assert widened.config.in_channels == 9
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-6)


def test_new_channels_are_zero_and_the_first_four_are_copied(unet: UNet2DConditionModel) -> None:
    before = unet.conv_in.weight.detach().clone()
    widen_input(unet)
    assert torch.equal(unet.conv_in.weight[:, :4], before)
    assert not unet.conv_in.weight[:, 4:].any()


def test_widened_unet_is_left_alone(unet: UNet2DConditionModel) -> None:
    widen_input(unet)
    layer = unet.conv_in
    assert widen_input(unet).conv_in is layer


def test_unet_of_other_channels_is_refused(unet_arguments: dict[str, Any]) -> None:
    unet = UNet2DConditionModel(**(unet_arguments | {"in_channels": 5}))
    with pytest.raises(ValueError, match="5 input channels"):
        widen_input(unet)
