"""3x3 convolutions by fewer multiplications, or by one matrix product."""

from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.upsampling import Upsample2D
from torch import nn

from retouch.engine.layers.filtered import can_convolve, conv3x3, upsampled_conv3x3
from retouch.engine.layers.group_norm import ScaledSilu
from retouch.engine.layers.linear import linear
from retouch.engine.layers.scratch import Scratch
from retouch.engine.layers.tuning import Tuning


class FastConv2d(nn.Conv2d):
    """A 3x3 convolution by Winograd's filtering, or by one matrix product where cells are few."""

    tuning: Tuning
    scratch: Scratch

    @staticmethod
    def fits(layer: Any, tuning: Tuning) -> bool:
        plain = (layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.groups)
        is_plain = plain == ((3, 3), (1, 1), (1, 1), (1, 1), 1) and layer.padding_mode == "zeros"
        return is_plain and min(layer.in_channels, layer.out_channels) >= tuning.winograd_channels

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if self.filters(input):
            return self.filtered(input)
        if input[0, 0].numel() <= self.tuning.gather_cells and self._is_wide:
            return gathered_conv3x3(channels_last(input), self.weight, self.bias)
        return super().forward(input)

    def filters(self, input: torch.Tensor) -> bool:
        """Whether Winograd's filtering is used for an input of this shape."""
        count, _, height, width = input.shape
        return self.tuning.filters(count, height * width) and can_convolve(height, width)

    def filtered(
        self,
        input: torch.Tensor,
        before: ScaledSilu | None = None,
        *,
        onto: torch.Tensor | None = None,
        is_passing: bool = False,
    ) -> torch.Tensor:
        """Convolve by Winograd's filtering; arguments as for `conv3x3`."""
        x, scratch = channels_last(input), self.scratch
        return conv3x3(x, self.weight, self.bias, scratch, before=before, onto=onto, is_passing=is_passing)

    @property
    def _is_wide(self) -> bool:
        return min(self.in_channels, self.out_channels) >= self.tuning.gather_channels


class FastUpsample2D(Upsample2D):  # type: ignore[misc]  # diffusers has no types
    """An upsampling and its convolution in one."""

    tuning: Tuning
    scratch: Scratch

    @staticmethod
    def fits(layer: Any, tuning: Tuning) -> bool:
        is_plain = layer.use_conv and not layer.use_conv_transpose and layer.norm is None and layer.interpolate
        conv = getattr(layer, "conv", None)  # older checkpoints' layers keep it under another name
        return bool(is_plain) and isinstance(conv, nn.Conv2d) and FastConv2d.fits(conv, tuning)

    def forward(
        self, hidden_states: torch.Tensor, output_size: Any = None, *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        count, _, height, width = hidden_states.shape
        if output_size is not None or not self.tuning.filters(count, 4 * height * width):
            plain: torch.Tensor = super().forward(hidden_states, output_size, *args, **kwargs)
            return plain
        return upsampled_conv3x3(channels_last(hidden_states), self.conv.weight, self.conv.bias, self.scratch)


def gathered_conv3x3(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Convolve 3x3 with stride 1 and zero padding 1 as one matrix product.

    Args:
        x: (N, C, H, W), channels last.
        weight: (O, C, 3, 3), best channels last: no copy is made then.
        bias: (O,) or None.
    Returns:
        (N, O, H, W), channels last.
    """
    count, channels, height, width = x.shape
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    gathered = x.new_empty(count, height, width, 9, channels)
    for tap in range(9):
        row, column = divmod(tap, 3)
        gathered[:, :, :, tap] = padded[:, row : row + height, column : column + width]
    matrix = weight.permute(0, 2, 3, 1).reshape(-1, 9 * channels)
    product = linear(gathered.view(-1, 9 * channels), matrix, bias)
    return product.view(count, height, width, -1).permute(0, 3, 1, 2)


def channels_last(x: torch.Tensor) -> torch.Tensor:
    """Return x, copied only where it lies otherwise."""
    return x.contiguous(memory_format=torch.channels_last)
