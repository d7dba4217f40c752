"""Linear layers by oneDNN, and layers of the context that are computed once while the same rows go on together."""

from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.embeddings import TextTimeEmbedding
from torch import nn
from torch.utils.weak import WeakTensorKeyDictionary

from retouch.engine.layers.tuning import Tuning


def linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Multiply as `F.linear`, by oneDNN, which is faster than the default matrix library on AMD processors."""
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return product


class FastLinear(nn.Linear):
    """A linear layer by oneDNN where it multiplies much; small ones it takes longer to begin with."""

    tuning: Tuning

    @staticmethod
    def fits(_layer: Any, _tuning: Tuning) -> bool:
        return True

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if input.numel() * self.out_features < self.tuning.linear_products:
            return F.linear(input, self.weight, self.bias)
        return linear(input, self.weight, self.bias)


class _OncePerContext(nn.Module):
    """A layer that remembers what it made of a tensor for as long as that tensor lives.

    For what depends on `encoder_hidden_states` alone, which stay the same from the first step to the last. Nobody
    may write into a context, nor into what was made of it. The engine's thread alone calls it.
    """

    _made: WeakTensorKeyDictionary | None = None

    def forward(self, context: torch.Tensor) -> torch.Tensor:
        if self._made is None:
            self._made = WeakTensorKeyDictionary()
        if context not in self._made:
            self._made[context] = super().forward(context)
        made: torch.Tensor = self._made[context]
        return made


class ContextLinear(_OncePerContext, FastLinear):
    """Keys or values of a cross-attention."""


class PlainContextLinear(_OncePerContext, nn.Linear):
    """Keys or values of a cross-attention in another precision than fp32."""


class ContextEmbedding(_OncePerContext, TextTimeEmbedding):  # type: ignore[misc]  # diffusers has no types
    """The pooled context that joins the time embedding."""

    @staticmethod
    def fits(_layer: Any, _tuning: Tuning) -> bool:
        return True
