"""Layers in bfloat16 whose weights oneDNN has laid out for its kernels once, not at every call.

On processors that multiply bfloat16 the products take so little time that to reorder the weights before each of
them took an eighth of a full-size step. The packed weights are a second copy: with it a UNet takes as much memory
as in fp32.
"""

from typing import Any

import torch
from torch import nn

from retouch.engine.layers.tuning import Tuning


class PackedConv2d(nn.Conv2d):
    """A convolution with packed weights, for the shape of input that it saw first; another one is still right."""

    _packed: torch.Tensor | None = None

    @staticmethod
    def fits(layer: Any, _tuning: Tuning) -> bool:
        return layer.groups == 1 and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        shape = self.padding, self.stride, self.dilation, self.groups
        if self._packed is None:
            self._packed = torch.ops.mkldnn._reorder_convolution_weight(self.weight, *shape, list(input.shape))
        convolved: torch.Tensor = torch.ops.mkldnn._convolution_pointwise(
            input, self._packed, self.bias, *shape, "none", [], ""
        )
        return convolved


class PackedLinear(nn.Linear):
    """A linear layer with packed weights, for the number of rows that it saw first."""

    _packed: torch.Tensor | None = None

    @staticmethod
    def fits(_layer: Any, _tuning: Tuning) -> bool:
        return True

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if self._packed is None:
            rows = input.numel() // input.shape[-1]
            self._packed = torch.ops.mkldnn._reorder_linear_weight(self.weight, rows)
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(input, self._packed, self.bias, "none", [], "")
        return product
