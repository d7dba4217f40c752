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
from retouch.engine.layers.linear import ContextEmbedding, ContextLinear, FastLinear
from retouch.engine.layers.scratch import Scratch
from retouch.engine.layers.tuning import Tuning

M = TypeVar("M", bound=nn.Module)

_FASTER: tuple[tuple[type[nn.Module], Any], ...] = (
    (nn.Conv2d, FastConv2d),
    (nn.Linear, FastLinear),
    (TextTimeEmbedding, ContextEmbedding),
    (Upsample2D, FastUpsample2D),
    (ResnetBlock2D, FastResnetBlock2D),
    (FeedForward, FastFeedForward),
    (GEGLU, FastGEGLU),
)


def tuned(model: M, tuning: Tuning, scratch: Scratch | None = None) -> M:
    """Return a model with faster layers that shares every weight with the one given, which stays as it is.

    The layers work in `scratch`, which models may share that are called in turns.

    Models on another device, of another dtype, or with hooks that move weights are returned unchanged, and so is
    every model where PyTorch was built without oneDNN.
    """
    if not isinstance(model, ModelMixin) or not _can_run(model):
        return model
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    clone, scratch = copy.deepcopy(model, shared), scratch or Scratch()
    for module in clone.modules():
        for plain, fast in _FASTER:
            if type(module) is plain and fast.fits(module, tuning):
                _become(module, fast, tuning, scratch)
    for module in clone.modules():
        if isinstance(module, Attention) and module.is_cross_attention:
            for layer in (module.to_k, module.to_v):
                if type(layer) is FastLinear:
                    _become(layer, ContextLinear, tuning, scratch)
    return clone


def _become(module: nn.Module, fast: type[nn.Module], tuning: Tuning, scratch: Scratch) -> None:
    # The class alone changes: weights, names and attributes stay those of the plain layer.
    module.__class__ = fast
    module.tuning, module.scratch = tuning, scratch  # type: ignore[assignment]  # modules take any attribute


def _can_run(model: nn.Module) -> bool:
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    plain = all(p.device.type == "cpu" and p.dtype == torch.float32 for p in model.parameters())
    return plain and not any(hasattr(module, "_hf_hook") for module in model.modules())
