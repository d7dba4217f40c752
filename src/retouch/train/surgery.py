"""The surgery between the phases: a UNet of 4 input channels becomes one of 9."""

import torch
from diffusers import UNet2DConditionModel
from torch import nn

INPAINT_CHANNELS = 9
"""In this order: latents (4), mask (1), masked-image latents (4)."""


def widen_input(unet: UNet2DConditionModel) -> UNet2DConditionModel:
    """Give `unet` (changed in place, and returned) 9 input channels: the first 4 as they were, the new ones zero.

    Right after it the output is what the 4-channel model gave, whatever mask and masked image hold. A UNet that
    has 9 already is left alone. (runwayml/stable-diffusion README: "zero-initialized after restoring".)

    Raises:
        ValueError: the UNet has neither 4 nor 9 input channels.
    """
    old = unet.conv_in
    if old.in_channels == INPAINT_CHANNELS:
        return unet
    if old.in_channels != 4:
        raise ValueError(f"a UNet of {old.in_channels} input channels cannot be widened for inpainting")
    new = nn.Conv2d(INPAINT_CHANNELS, old.out_channels, old.kernel_size, old.stride, old.padding)
    new = new.to(device=old.weight.device, dtype=old.weight.dtype)
    with torch.no_grad():
        new.weight.zero_()
        new.weight[:, :4] = old.weight
        assert new.bias is not None
        assert old.bias is not None
        new.bias.copy_(old.bias)
    unet.conv_in = new
    unet.register_to_config(in_channels=INPAINT_CHANNELS)
    return unet
