"""Residual blocks and feed-forwards that move less memory: in place, and in parts that fit the cache."""

from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.activations import GEGLU
from diffusers.models.attention import FeedForward
from diffusers.models.resnet import ResnetBlock2D
from torch import nn

from retouch.engine.layers.convolutions import FastConv2d, channels_last
from retouch.engine.layers.group_norm import norm_and_silu
from retouch.engine.layers.tuning import Tuning


class FastResnetBlock2D(ResnetBlock2D):  # type: ignore[misc]  # diffusers has no types
    """A residual block whose norms and activations are part of its convolutions where images are large."""

    tuning: Tuning

    @staticmethod
    def fits(block: Any, _tuning: Tuning) -> bool:
        is_plain = block.upsample is None and block.downsample is None and block.output_scale_factor == 1.0
        return bool(is_plain) and isinstance(block.nonlinearity, nn.SiLU) and block.dropout.p == 0.0

    def forward(
        self, input_tensor: torch.Tensor, temb: torch.Tensor | None, *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        if (temb is None) != (self.time_emb_proj is None):
            plain: torch.Tensor = super().forward(input_tensor, temb, *args, **kwargs)
            return plain
        x = channels_last(input_tensor)
        return self._large(x, temb) if self._is_large(x) else self._small(x, temb)

    def _is_large(self, x: torch.Tensor) -> bool:
        return x[0].numel() >= self.tuning.residual_floats and all(
            isinstance(conv, FastConv2d) and conv.filters(x) for conv in (self.conv1, self.conv2)
        )

    def _large(self, x: torch.Tensor, temb: torch.Tensor | None) -> torch.Tensor:
        hidden: torch.Tensor = self.conv1.filtered(x, norm_and_silu(x, self.norm1), is_passing=True)
        scale, shift = self._time(hidden, temb)
        before = norm_and_silu(hidden, self.norm2, scale, shift)
        if self.conv_shortcut is not None:
            x = channels_last(self.conv_shortcut(x))
        elif not self.tuning.owns_residuals:
            x = x.clone()
        added: torch.Tensor = self.conv2.filtered(hidden, before, onto=x)
        return added

    def _small(self, x: torch.Tensor, temb: torch.Tensor | None) -> torch.Tensor:
        hidden: torch.Tensor = self.conv1(F.silu(self.norm1(x), inplace=True))
        scale, shift = self._time(hidden, temb)
        hidden = self.norm2(hidden)
        if scale is not None and shift is not None:
            torch.addcmul(shift, hidden, 1 + scale, out=hidden)
        convolved: torch.Tensor = self.conv2(F.silu(hidden, inplace=True))
        return convolved.add_(x if self.conv_shortcut is None else self.conv_shortcut(x))

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


class FastFeedForward(FeedForward):  # type: ignore[misc]  # diffusers has no types
    """A feed-forward that takes a few rows at a time where what is between its matrices would leave the cache."""

    tuning: Tuning

    @staticmethod
    def fits(layer: Any, _tuning: Tuning) -> bool:
        return hasattr(layer.net[0], "proj") and layer.net[2].out_features == layer.net[0].proj.in_features

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


class FastGEGLU(GEGLU):  # type: ignore[misc]  # diffusers has no types
    """A gated activation without a third copy of its width."""

    @staticmethod
    def fits(_layer: Any, _tuning: Tuning) -> bool:
        return True

    def forward(self, hidden_states: torch.Tensor, *_args: Any, **_kwargs: Any) -> torch.Tensor:
        value, gate = self.proj(hidden_states).chunk(2, dim=-1)
        return F.gelu(gate).mul_(value)
