"""Tuning that reaches every layer of a tiny model."""

from typing import Any

import torch
from diffusers import UNet2DConditionModel

from retouch.engine.layers.tuning import Tuning
from retouch.engine.tune import tuned

EVERYWHERE = Tuning(
    owns_residuals=False,
    winograd_channels=1,
    winograd_cells=16,
    winograd_call_cells=16,
    gather_cells=4,
    gather_channels=1,
    residual_floats=1,
    linear_products=1,
    feed_forward_floats=1,
    feed_forward_rows=7,
)


def tuned_part(part: torch.nn.Module, tuning: Tuning) -> Any:
    """Return a part of a model as tuning makes it."""
    model = UNet2DConditionModel.__new__(UNet2DConditionModel)
    torch.nn.Module.__init__(model)
    model.part = part
    return tuned(model, tuning).part
