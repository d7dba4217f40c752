"""A VAE whose decoder is wider and sees the kept pixels, made from a plain one whose latents it keeps."""

import torch
from diffusers import AsymmetricAutoencoderKL, AutoencoderKL
from torch import Tensor

from retouch.errors import InvalidField, ModelUnsupported

_CONDITION = "decoder.condition_encoder."
_LEVELS = 4
"""Of diffusers' encoder of kept pixels."""
_SPREAD = 0.3
"""How far the shares of channels that were one differ, in deviations of a layer's weights. With equal shares they
would have equal gradients, and stay one."""


def widen_decoder(old: AutoencoderKL, widths: tuple[int, ...], *, seed: int = 0) -> AsymmetricAutoencoderKL:
    """Return a VAE with the encoder of `old` and a decoder of other widths, each a multiple of the old one's.

    Each channel becomes several that compute what it did, and the layers behind them share their weights out
    (Chen et al. 2016, Net2Net, arXiv:1511.05641). With a mask that covers everything it decodes what `old`
    decodes, up to rounding; what it makes of kept pixels (Zhu et al. 2023, arXiv:2306.04632) is not trained.
    Diffusers gives such a VAE attention in its middle, which does nothing at first.

    Args:
        widths: outermost first, as diffusers' mask-condition decoder needs them: each twice the one before, but
            the last may equal it.

    Raises:
        InvalidField: they are others, no multiples of the old ones, or equal where the old ones differ.
        ModelUnsupported: `old` has what an asymmetric one has not.
    """
    config = old.config
    levels = len(widths)
    if config.mid_block_add_attention or config.act_fn != "silu" or not config.use_post_quant_conv:
        raise ModelUnsupported(
            "only decoders without attention, as `retouch train vae` makes them, can be widened"
        )
    narrow = tuple(config.block_out_channels)
    is_fitting = levels == _LEVELS == len(narrow) and all(
        width == min(2**level * widths[0], widths[-1]) and width % narrow[level] == 0
        for level, width in enumerate(widths)
    )
    if not is_fitting:
        raise InvalidField("widths", f"{widths} do not fit a decoder of {narrow}")
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)  # of what has no model in the old decoder
        new = AsymmetricAutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * levels,
            down_block_out_channels=tuple(config.block_out_channels),
            layers_per_down_block=config.layers_per_block,
            up_block_types=("UpDecoderBlock2D",) * levels,
            up_block_out_channels=widths,
            layers_per_up_block=config.layers_per_block,
            latent_channels=config.latent_channels,
            norm_num_groups=config.norm_num_groups,
            sample_size=config.sample_size,
            scaling_factor=config.scaling_factor,
        )
    generator = torch.Generator().manual_seed(seed)
    weights = old.state_dict()
    if not weights.keys() <= new.state_dict().keys():  # of residual blocks whose input has another width
        raise InvalidField("widths", f"{widths} are equal where a decoder of {narrow} has weights between them")
    with torch.no_grad():
        for name, target in new.state_dict().items():
            if name in weights:
                target.copy_(_widened(weights[name].float(), target.shape, generator))
            elif ".attentions." in name:
                if ".to_out." in name:
                    target.zero_()
            elif name.endswith("conv_shortcut.weight"):
                target.copy_(_handing_on(*target.shape[:2]))
            elif not name.startswith(_CONDITION):
                target.zero_()
    return new.eval()


def _handing_on(outputs: int, inputs: int) -> Tensor:
    """A 1x1 convolution to the means of twins: of a residual block whose old widths were equal."""
    twins = inputs // outputs
    return torch.eye(outputs).repeat_interleave(twins, dim=1)[..., None, None] / twins


def _widened(old: Tensor, shape: torch.Size, generator: torch.Generator) -> Tensor:
    """A layer's weights or biases for several channels in the place of each."""
    wide = old.repeat_interleave(shape[0] // old.shape[0], dim=0)
    if old.dim() < 2 or shape[1] == old.shape[1]:
        return wide
    twins = shape[1] // old.shape[1]
    spread = torch.randn(*wide.shape[:2], twins, *wide.shape[2:], generator=generator) * old.std() * _SPREAD
    spread -= spread.mean(dim=2, keepdim=True)
    return (wide[:, :, None] / twins + spread).flatten(1, 2)
