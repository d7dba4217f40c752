"""Faster layers for CPUs: the same weights and numbers, computed in another order."""

import copy
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from diffusers import ModelMixin
from diffusers.models.attention import FeedForward
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D
from torch import nn

from retouch.engine.group_norm import ScaledSilu, norm_and_silu
from retouch.engine.winograd import (
    can_convolve,
    conv3x3,
    linear,
    transform_weight,
    transform_weight_upsampled,
    upsampled_conv3x3,
)

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class Tuning:
    """Where the faster layers are used. The defaults are for AVX2 processors.

    Attributes:
        remember: keep transformed weights between calls until `forget`: four times the layers' own, beside them.
            Worth it for a UNet, which is called at every step; the VAE's are transformed anew for each picture.
        winograd_channels: fewest channels of a 3x3 convolution, in and out, for Winograd's filtering.
        winograd_cells: fewest cells (H * W) for it; below, transformed weights weigh more than they save.
        winograd_weights: most pairs of an input and an output channel for it; above, they take too much memory.
        gather_cells: most cells for which a 3x3 convolution is gathered into one matrix product; oneDNN reorders
            the weights at every call otherwise, which takes as long as the product.
        gather_channels: fewest channels, in and out, for that.
        residual_floats: fewest numbers of one image in a residual block (4 MiB) for which its norms become part of
            its convolutions.
        linear_weights: fewest weights of a linear layer that oneDNN takes over.
        feed_forward_floats: fewest numbers between a feed-forward's two matrices (16 MiB) for which its rows are
            taken in parts, so that they stay in the cache; whole, they cost as much as the products.
        feed_forward_rows: rows of such a part.
    """

    remember: bool
    winograd_channels: int = 128
    winograd_cells: int = 1024
    winograd_weights: int = 2**19
    gather_cells: int = 256
    gather_channels: int = 512
    residual_floats: int = 2**20
    linear_weights: int = 2**16
    feed_forward_floats: int = 2**22
    feed_forward_rows: int = 256


def tuned(model: M, tuning: Tuning) -> M:
    """Return a model with faster layers that shares every weight with the one given, which stays as it is.

    Models on another device, of another dtype, or with hooks that move weights are returned unchanged, and so is
    every model where PyTorch was built without oneDNN.
    """
    if not isinstance(model, ModelMixin) or not _can_run(model):
        return model
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    clone = copy.deepcopy(model, shared)
    for module in clone.modules():
        for plain, fast in _FASTER:
            if type(module) is plain and fast.fits(module, tuning):
                # The class alone changes: weights, names and attributes stay those of the plain layer.
                module.__class__ = fast
                module.tuning = tuning
    return clone


def forget(model: nn.Module) -> None:
    """Drop the transformed weights that a tuned model remembers; its next call makes them again."""
    for module in model.modules():
        if isinstance(module, _Conv2d | _Upsample2D):
            module._transformed = None


def _can_run(model: nn.Module) -> bool:
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    plain = all(p.device.type == "cpu" and p.dtype == torch.float32 for p in model.parameters())
    return plain and not any(hasattr(module, "_hf_hook") for module in model.modules())


class _Linear(nn.Linear):
    """A linear layer by oneDNN."""

    @staticmethod
    def fits(layer: Any, tuning: Tuning) -> bool:
        return bool(layer.weight.numel() >= tuning.linear_weights)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return linear(input, self.weight, self.bias)


class _Conv2d(nn.Conv2d):
    """A 3x3 convolution by Winograd's filtering, or by one matrix product where cells are few."""

    tuning: Tuning
    _transformed: torch.Tensor | None = None

    @staticmethod
    def fits(layer: Any, tuning: Tuning) -> bool:
        plain = (layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.groups)
        is_plain = plain == ((3, 3), (1, 1), (1, 1), (1, 1), 1) and layer.padding_mode == "zeros"
        return is_plain and min(layer.in_channels, layer.out_channels) >= tuning.winograd_channels

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        height, width = input.shape[-2:]
        if self.filters(height, width):
            return self.filtered(input)
        if height * width <= self.tuning.gather_cells and self._is_wide:
            return gathered_conv3x3(_channels_last(input), self.weight, self.bias)
        return super().forward(input)

    def filters(self, height: int, width: int) -> bool:
        """Whether Winograd's filtering is used for this size."""
        return height * width >= self.tuning.winograd_cells and self._is_light and can_convolve(height, width)

    def filtered(self, input: torch.Tensor, before: ScaledSilu | None = None) -> torch.Tensor:
        """Convolve what `before` makes of the input."""
        return conv3x3(_channels_last(input), self._weights(), self.bias, before=before)

    @property
    def _is_light(self) -> bool:
        return self.in_channels * self.out_channels <= self.tuning.winograd_weights

    @property
    def _is_wide(self) -> bool:
        return min(self.in_channels, self.out_channels) >= self.tuning.gather_channels

    def _weights(self) -> torch.Tensor:
        if self._transformed is not None:
            return self._transformed
        weights = transform_weight(self.weight)
        if self.tuning.remember:
            self._transformed = weights
        return weights


class _Upsample2D(Upsample2D):  # type: ignore[misc]  # diffusers has no types
    """An upsampling and its convolution in one."""

    tuning: Tuning
    _transformed: torch.Tensor | None = None

    @staticmethod
    def fits(layer: Any, tuning: Tuning) -> bool:
        is_plain = layer.use_conv and not layer.use_conv_transpose and layer.norm is None and layer.interpolate
        return bool(is_plain) and isinstance(layer.conv, nn.Conv2d) and _Conv2d.fits(layer.conv, tuning)

    def forward(
        self, hidden_states: torch.Tensor, output_size: Any = None, *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        cells = 4 * hidden_states.shape[-1] * hidden_states.shape[-2]
        if output_size is not None or cells < self.tuning.winograd_cells:
            plain: torch.Tensor = super().forward(hidden_states, output_size, *args, **kwargs)
            return plain
        return upsampled_conv3x3(_channels_last(hidden_states), self._weights(), self.conv.bias)

    def _weights(self) -> torch.Tensor:
        if self._transformed is not None:
            return self._transformed
        weights = transform_weight_upsampled(self.conv.weight)
        if self.tuning.remember:
            self._transformed = weights
        return weights


class _ResnetBlock2D(ResnetBlock2D):  # type: ignore[misc]  # diffusers has no types
    """A residual block that makes its norms and activations part of its convolutions where images are large."""

    tuning: Tuning

    @staticmethod
    def fits(block: Any, tuning: Tuning) -> bool:
        is_plain = block.upsample is None and block.downsample is None and block.output_scale_factor == 1.0
        is_silu = isinstance(block.nonlinearity, nn.SiLU) and block.dropout.p == 0.0
        convolutions = (block.conv1, block.conv2)
        return bool(is_plain and is_silu) and all(
            isinstance(conv, nn.Conv2d) and _Conv2d.fits(conv, tuning) for conv in convolutions
        )

    def forward(
        self, input_tensor: torch.Tensor, temb: torch.Tensor | None, *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        height, width = input_tensor.shape[-2:]
        is_large = input_tensor[0].numel() >= self.tuning.residual_floats
        is_usual = (temb is None) == (self.time_emb_proj is None)
        if not (is_large and is_usual and self.conv1.filters(height, width) and self.conv2.filters(height, width)):
            plain: torch.Tensor = super().forward(input_tensor, temb, *args, **kwargs)
            return plain
        x = _channels_last(input_tensor)
        hidden: torch.Tensor = self.conv1.filtered(x, norm_and_silu(x, self.norm1))
        scale, shift = self._time(hidden, temb)
        hidden = self.conv2.filtered(hidden, norm_and_silu(hidden, self.norm2, scale, shift))
        return hidden.add_(x if self.conv_shortcut is None else self.conv_shortcut(x))

    def _time(
        self, hidden: torch.Tensor, temb: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor] | tuple[None, None]:
        """Add the time embedding to what the first convolution gave, or return it as scale and shift."""
        if self.time_emb_proj is None or temb is None:
            return None, None
        embedded = self.time_emb_proj(temb if self.skip_time_act else self.nonlinearity(temb))[:, :, None, None]
        if self.time_embedding_norm == "scale_shift":
            scale, shift = embedded.chunk(2, dim=1)
            return scale, shift
        hidden.add_(embedded)
        return None, None


class _FeedForward(FeedForward):  # type: ignore[misc]  # diffusers has no types
    """A feed-forward that takes a few rows at a time where what is between its matrices would leave the cache."""

    tuning: Tuning

    @staticmethod
    def fits(_layer: Any, _tuning: Tuning) -> bool:
        return True

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        between = hidden_states[..., 0].numel() * self.net[0].proj.out_features
        if between < self.tuning.feed_forward_floats:
            return self._plain(hidden_states)
        # Each picture is cut at the same places, whatever stands before it in the call.
        parts = [part for one in hidden_states for part in torch.split(one, self.tuning.feed_forward_rows)]
        return torch.cat([self._plain(part) for part in parts]).view_as(hidden_states)

    def _plain(self, hidden_states: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = super().forward(hidden_states)
        return output


_FASTER = (
    (nn.Conv2d, _Conv2d),
    (nn.Linear, _Linear),
    (Upsample2D, _Upsample2D),
    (ResnetBlock2D, _ResnetBlock2D),
    (FeedForward, _FeedForward),
)


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


def _channels_last(x: torch.Tensor) -> torch.Tensor:
    return x.contiguous(memory_format=torch.channels_last)
