"""Faster layers for CPUs: the same weights and numbers, computed in another order."""

import copy
from typing import Any, TypeVar

import torch
from diffusers import ModelMixin
from diffusers.models.activations import GEGLU
from diffusers.models.attention import FeedForward
from diffusers.models.attention_processor import Attention
from diffusers.models.embeddings import TextTimeEmbedding
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D
from torch import nn

from retouch.engine.layers.blocks import FastFeedForward, FastGEGLU, FastResnetBlock2D
from retouch.engine.layers.convolutions import FastConv2d, FastUpsample2D
from retouch.engine.layers.group_norm import FastGroupNorm
from retouch.engine.layers.linear import ContextEmbedding, ContextLinear, FastLinear, PlainContextLinear
from retouch.engine.layers.packed import PackedConv2d, PackedLinear
from retouch.engine.layers.scratch import Scratch
from retouch.engine.layers.tuning import Tuning
from retouch.models.devices import multiplies_bf16

M = TypeVar("M", bound=nn.Module)
Table = tuple[tuple[type[nn.Module], Any], ...]

_FASTER: Table = (
    (nn.Conv2d, FastConv2d),
    (nn.Linear, FastLinear),
    (TextTimeEmbedding, ContextEmbedding),
    (Upsample2D, FastUpsample2D),
    (ResnetBlock2D, FastResnetBlock2D),
    (FeedForward, FastFeedForward),
    (GEGLU, FastGEGLU),
    (nn.GroupNorm, FastGroupNorm),
)
_PACKED: Table = (
    (nn.Conv2d, PackedConv2d),
    (nn.Linear, PackedLinear),
    (TextTimeEmbedding, ContextEmbedding),
    (GEGLU, FastGEGLU),
)
"""In bfloat16 the processor multiplies so fast that fewer multiplications save nothing."""


_ONCE: dict[type[nn.Module], type[nn.Module]] = {FastLinear: ContextLinear, PackedLinear: PlainContextLinear}
"""What keys and values of the context become."""


def tuned(model: M, tuning: Tuning, scratch: Scratch | None = None) -> M:
    """Return a model with faster layers that shares every weight with the one given, which stays as it is.

    The layers work in `scratch`, which models may share that are called in turns.

    Models on another device, in a precision that the processor does not multiply, or with hooks that move weights
    are returned unchanged, and so is every model where PyTorch was built without oneDNN.
    """
    table = _table(model) if isinstance(model, ModelMixin) else ()
    if not table:
        return model
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    clone, scratch = copy.deepcopy(model, shared), scratch or Scratch()
    for module in clone.modules():
        for plain, fast in table:
            if type(module) is plain and fast.fits(module, tuning):
                _become(module, fast, tuning, scratch)
    for module in clone.modules():
        if isinstance(module, Attention) and module.is_cross_attention:
            for layer in (module.to_k, module.to_v):
                if type(layer) in _ONCE:
                    _become(layer, _ONCE[type(layer)], tuning, scratch)
    return clone


def _become(module: nn.Module, fast: type[nn.Module], tuning: Tuning, scratch: Scratch) -> None:
    # The class alone changes: weights, names and attributes stay those of the plain layer.
    module.__class__ = fast
    module.tuning, module.scratch = tuning, scratch  # type: ignore[assignment]  # modules take any attribute


def _table(model: nn.Module) -> Table:
    """Return the layers that are faster for a model where it is, or none."""
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return ()
    places = {(p.device.type, p.dtype) for p in model.parameters()}
    if any(hasattr(module, "_hf_hook") for module in model.modules()):
        return ()
    if places == {("cpu", torch.float32)}:
        return _FASTER
    return _PACKED if places == {("cpu", torch.bfloat16)} and multiplies_bf16() else ()
