"""The diffusion loss: weighted mean squared error, a row at a time."""

import torch.nn.functional as F
from torch import Tensor

from retouch.train.noise import Prediction

BROAD_CELLS = 4
"""Latent cells along a side of the squares within which errors are detail."""


def min_snr_weights(snr: Tensor, gamma: float, kind: Prediction) -> Tensor:
    """Weights of rows (B,) by Min-SNR (Hang et al. 2023, arXiv:2303.09556): min(snr, gamma) on the error in z_0.

    An error in the noise is sqrt(snr) times that in z_0, one in v is sqrt(snr + 1) times it: hence the divisors.
    """
    if kind == "epsilon":
        return (gamma / snr).clamp(max=1.0)  # not min(snr, gamma) / snr: a schedule may end where the signal is 0
    return snr.clamp(max=gamma) / (snr + 1.0)


def row_errors(
    prediction: Tensor,
    target: Tensor,
    hole: Tensor | None = None,
    *,
    hole_weight: float = 1.0,
    detail_weight: float = 1.0,
) -> Tensor:
    """Mean squared error of each row, in fp32: (B,).

    Args:
        prediction, target: (B, C, h, w).
        hole: (B, 1, h, w), 1 = repaint: its cells count `hole_weight` times; a row's weights are normalised.
        detail_weight: of what differs from the mean error of its `BROAD_CELLS` x `BROAD_CELLS` cells, which has 1.
    """
    errors = prediction.float() - target.float()
    squares = errors.square().mean(dim=1, keepdim=True)  # (B, 1, h, w)
    if detail_weight != 1.0:
        detail = errors - _broad(errors)
        squares = squares + (detail_weight - 1.0) * detail.square().mean(dim=1, keepdim=True)
    if hole is None or hole_weight == 1.0:
        return squares.mean(dim=(1, 2, 3))
    weights = 1.0 + (hole_weight - 1.0) * hole
    return (squares * weights).sum(dim=(1, 2, 3)) / weights.sum(dim=(1, 2, 3))


def _broad(errors: Tensor) -> Tensor:
    """Means over squares of cells, laid out over the cells; those at the right and below may be cut."""
    height, width = errors.shape[-2:]
    means = F.avg_pool2d(errors, BROAD_CELLS, ceil_mode=True)
    spread = means.repeat_interleave(BROAD_CELLS, dim=-2).repeat_interleave(BROAD_CELLS, dim=-1)
    return spread[..., :height, :width]


def hole_errors(prediction: Tensor, target: Tensor, hole: Tensor) -> Tensor:
    """Mean squared error of each row inside the hole (B, 1, h, w) alone; 0 where a row has none: (B,)."""
    squares = (prediction.float() - target.float()).square().mean(dim=1, keepdim=True)
    return (squares * hole).sum(dim=(1, 2, 3)) / hole.sum(dim=(1, 2, 3)).clamp(min=1.0)
