"""A VAE of twice the factor from a finished one: the same latents, for pictures of twice the side.

One level is added outside. The decoder's starts as what doubles pixels; the encoder's is fitted to what halves
them and begins the old encoder. So latents stay what a UNet has learnt. Training the decoder alone then teaches it
what is finer than the old pictures were (`VaeRecipe.train_decoder_only`).
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor

from retouch.data.compose import SceneComposer
from retouch.data.mixture import MIXTURES
from retouch.train.pocket.vae import build_vae, load_plain_vae
from retouch.train.posteriors import to_unit_range

_KEPT = ("encoder.mid_block", "encoder.conv_norm_out", "encoder.conv_out", "quant_conv", "post_quant_conv")
_KEPT_BY_DECODER = ("decoder.conv_in", "decoder.mid_block", "decoder.conv_norm_out", "decoder.conv_out")


def grow_vae(old: AutoencoderKL) -> AutoencoderKL:
    """Return a VAE with one level more, as wide as the old outermost one; its encoder is not yet fitted."""
    widths = tuple(old.config.block_out_channels)
    grown = build_vae((widths[0], *widths), size=2 * old.config.sample_size)
    names = {f"encoder.down_blocks.{level}": f"encoder.down_blocks.{level + 1}" for level in range(len(widths))}
    names |= {f"decoder.up_blocks.{level}": f"decoder.up_blocks.{level}" for level in range(len(widths))}
    names |= {name: name for name in (*_KEPT, *_KEPT_BY_DECODER)}
    for before, after in names.items():
        # The last of the old decoder's levels had nothing to double: that part is new.
        grown.get_submodule(after).load_state_dict(old.get_submodule(before).state_dict(), strict=False)
    with torch.no_grad():
        doubling = grown.decoder.up_blocks[len(widths) - 1].upsamplers[0].conv
        doubling.weight.zero_()
        doubling.bias.zero_()
        doubling.weight[:, :, 1, 1] = torch.eye(widths[0])
        for block in (grown.encoder.down_blocks[0], grown.decoder.up_blocks[-1]):
            for resnet in block.resnets:  # which then hand on what they are given
                resnet.conv2.weight.zero_()
                resnet.conv2.bias.zero_()
    return grown


def fit_encoder(grown: AutoencoderKL, old: AutoencoderKL, images: Tensor, *, steps: int = 500) -> float:
    """Fit the new outermost part of the encoder, in place, to the old one's first layer on halved pictures.

    Args:
        images: (N, 3, H, W) in [-1, 1], of the grown VAE's size.
    Returns:
        the last step's squared error, as a share of the power.
    """
    encoder = grown.encoder
    fitted = [*encoder.conv_in.parameters(), *encoder.down_blocks[0].downsamplers.parameters()]
    optimiser = torch.optim.Adam(fitted, lr=5e-3)
    generator = torch.Generator().manual_seed(0)
    side = min(96, images.shape[-1])
    error = torch.zeros(())
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 5e-3 * (1 - step / steps)
        rows = torch.randint(len(images), (8,), generator=generator)
        top, left = torch.randint((images.shape[-1] - side) // 2 + 1, (2,), generator=generator).mul(2).tolist()
        crops = images[rows, :, top : top + side, left : left + side]
        with torch.no_grad():
            wanted = old.encoder.conv_in(F.avg_pool2d(crops, 2))
        found = encoder.down_blocks[0](encoder.conv_in(crops))
        # Borders apart, where the two pad differently.
        error = (found - wanted)[:, :, 1:-1, 1:-1].square().mean() / wanted.square().mean()
        optimiser.zero_grad()
        torch.autograd.backward(error)
        optimiser.step()
    return float(error.detach())


def grow_folder(source: Path, data_dir: Path, output: Path) -> float:
    """Grow the VAE of a folder, fit it on composed scenes, and save it; return the fit's error."""
    old = load_plain_vae(source)
    grown = grow_vae(old)
    composer = SceneComposer.open(data_dir, size=grown.config.sample_size, mixture=MIXTURES["varied"])
    scenes = [composer.scene(np.random.default_rng((9, number))).image for number in range(96)]
    error = fit_encoder(grown, old, to_unit_range(torch.from_numpy(np.stack(scenes))))
    grown.save_pretrained(output)
    return error
