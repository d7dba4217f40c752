"""A linear map from latents to colours, so that a preview costs a matrix product, not a decode."""

import threading
from functools import partial
from typing import Any

import torch

_SAMPLES = 48
_CELLS = 4


class PreviewMatrix:
    """The matrix of a VAE, fitted when it is first asked for: most who load a checkpoint never look at a preview.

    May be called from several threads; the first call decodes small pictures on the thread that makes it.
    """

    def __init__(self, vae: Any, *, latent_channels: int, scaling_factor: float, shift_factor: float) -> None:
        self._fit = partial(
            fit_preview,
            vae,
            latent_channels=latent_channels,
            scaling_factor=scaling_factor,
            shift_factor=shift_factor,
        )
        self._matrix: torch.Tensor | None = None
        self._lock = threading.Lock()

    def __call__(self) -> torch.Tensor:
        """Return (latent_channels + 1, 3) fp32 on the CPU, latents (and 1) to RGB in [-1, 1]."""
        with self._lock:
            if self._matrix is None:
                self._matrix = self._fit()
            return self._matrix


@torch.inference_mode()
def fit_preview(vae: Any, *, latent_channels: int, scaling_factor: float, shift_factor: float) -> torch.Tensor:
    """Fit RGB = [latents, 1] @ M by least squares on flat patches that the VAE decodes.

    One flat patch per random latent value: the linear part of the decoder is its answer to flat colour, and
    a patch of four cells a side keeps the cost to that of a picture of a few hundred pixels. The idea is
    https://discuss.huggingface.co/t/decoding-latents-to-rgb-without-upscaling/23204; the factors are fitted
    here to whichever VAE is loaded.

    Returns:
        (latent_channels + 1, 3) fp32 on the CPU, to RGB in [-1, 1].
    """
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(_SAMPLES, latent_channels, generator=generator)
    flat = values[:, :, None, None].expand(-1, -1, _CELLS, _CELLS)
    weight = next(vae.parameters())
    decoded = vae.decode((flat / scaling_factor + shift_factor).to(weight.device, weight.dtype)).sample
    edge = decoded.shape[-1] // _CELLS
    # The rim is darkened by the convolutions' zero padding; the middle is the colour.
    colours = decoded[..., edge:-edge, edge:-edge].float().mean(dim=(2, 3)).clamp(-1, 1).cpu()
    design = torch.cat([values, torch.ones(_SAMPLES, 1)], dim=1)
    matrix: torch.Tensor = torch.linalg.lstsq(design.double(), colours.double()).solution
    return matrix.float()
