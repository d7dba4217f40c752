"""The forward process: how noise is added, and what the model has to predict."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from retouch.errors import ModelUnsupported

Prediction = Literal["epsilon", "v_prediction"]
TIMESTEPS = 1000
BETA_START, BETA_END = 0.00085, 0.012
"""Stable Diffusion's, linear in the square root (runwayml/stable-diffusion, v1-inpainting-inference.yaml)."""


@dataclass(frozen=True, slots=True)
class NoiseSchedule:
    """alphas_cumprod: (1000,) fp32, the share of the signal's variance that is left at each timestep."""

    alphas_cumprod: Tensor

    @classmethod
    def scaled_linear(cls) -> "NoiseSchedule":
        """Betas whose square roots rise linearly, computed in float64."""
        betas = torch.linspace(BETA_START**0.5, BETA_END**0.5, TIMESTEPS, dtype=torch.float64) ** 2
        return cls(torch.cumprod(1.0 - betas, dim=0).float())

    @classmethod
    def of_scheduler(cls, scheduler: Any) -> "NoiseSchedule":
        """The schedule of a scheduler of diffusers: training adds the noise that sampling takes away.

        Raises:
            ModelUnsupported: it has none of 1,000 timesteps.
        """
        table = getattr(scheduler, "alphas_cumprod", None)
        if not isinstance(table, Tensor) or len(table) != TIMESTEPS:
            raise ModelUnsupported(
                f"the checkpoint's {type(scheduler).__name__} has no schedule of {TIMESTEPS} timesteps to learn",
                hint="put a DDIMScheduler with the checkpoint's betas into scheduler/scheduler_config.json",
            )
        return cls(table.float())

    def to(self, device: torch.device) -> "NoiseSchedule":
        """The same schedule on a device, so that steps there need not wait for a transfer."""
        return NoiseSchedule(self.alphas_cumprod.to(device))

    def scales(self, timesteps: Tensor) -> tuple[Tensor, Tensor]:
        """Factors of signal and noise at timesteps (B,), each (B, 1, 1, 1)."""
        alpha = self.alphas_cumprod.to(timesteps.device)[timesteps].view(-1, 1, 1, 1)
        return alpha.sqrt(), (1.0 - alpha).sqrt()

    def add_noise(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """z_t = sqrt(a) z_0 + sqrt(1 - a) noise (Ho et al. 2020, arXiv:2006.11239, equation 4)."""
        signal, spread = self.scales(timesteps)
        return signal * latents + spread * noise

    def target(self, kind: Prediction, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """What the model predicts: the noise, or v = sqrt(a) noise - sqrt(1 - a) z_0.

        (Salimans and Ho 2022, arXiv:2202.00512, appendix D.)
        """
        if kind == "epsilon":
            return noise
        signal, spread = self.scales(timesteps)
        return signal * noise - spread * latents

    def snr(self, timesteps: Tensor) -> Tensor:
        """Signal-to-noise ratio a / (1 - a) at timesteps (B,)."""
        alpha = self.alphas_cumprod.to(timesteps.device)[timesteps]
        return alpha / (1.0 - alpha)
