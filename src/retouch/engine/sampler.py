"""The sampler: a small protocol, one instance of which walks one trajectory from noise to latents."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from retouch.errors import InvalidField
from retouch.models.bundle import ModelBundle
from retouch.models.options import PredictionType


@dataclass(frozen=True, slots=True)
class Course:
    """Which part of a schedule is run.

    Attributes:
        num_inference_steps: steps of a whole run, at strength 1.
        strength: (0, 1], the part of it that is made; nothing is sampled at 0.
        exact_reference: truncate and slice as diffusers' pipeline does, errors included.
    """

    num_inference_steps: int
    strength: float
    exact_reference: bool = False

    @property
    def is_whole(self) -> bool:
        return self.strength == 1.0

    @property
    def skipped_steps(self) -> int:
        """Return how many steps at the noisy end are left out.

        `int(50 * 0.58)` is 28 in floats, and `int(10 * 0.05)` leaves nothing to do; both are corrected unless
        the reference is wanted.
        """
        product = self.num_inference_steps * self.strength
        made = int(product) if self.exact_reference else max(1, math.floor(round(product, 6)))
        if made < 1:
            raise InvalidField("strength", f"leaves no step of {self.num_inference_steps}, as in diffusers")
        return self.num_inference_steps - min(made, self.num_inference_steps)


class Sampler(Protocol):
    """The walk from noise to latents. Tensors are (1, C, h, w) fp32; `index` counts UNet calls from 0."""

    @property
    def timesteps(self) -> tuple[float, ...]:
        """The UNet's timestep of each call; their number is the number of calls."""

    def start(self, noise: torch.Tensor, image_latents: torch.Tensor | None) -> torch.Tensor:
        """Return the first latents: noise alone, or noise on top of the image's latents below strength 1."""

    def scale_input(self, latents: torch.Tensor, index: int) -> torch.Tensor:
        """Return what the UNet shall see."""

    def step(
        self, prediction: torch.Tensor, latents: torch.Tensor, index: int, generator: torch.Generator
    ) -> torch.Tensor:
        """Return the next latents; a stochastic sampler draws from `generator`."""

    def renoise(self, image_latents: torch.Tensor, noise: torch.Tensor, index: int) -> torch.Tensor:
        """Return the image's latents at the noise level after step `index`; without noise after the last."""

    def level(self, index: int) -> tuple[float, float]:
        """Return (alpha, sigma) with UNet input = alpha * x0 + sigma * noise, alpha^2 + sigma^2 = 1."""


@dataclass(frozen=True, slots=True)
class SamplerSpec:
    """A sampler that can be asked for.

    Attributes:
        name: by which a request's `scheduler` names it, in any case; its file has the same, with `_` for spaces.
        build: makes one, whose state belongs to one trajectory.
    """

    name: str
    build: Callable[[ModelBundle, Course], Sampler]


def predict_x0(
    kind: PredictionType, prediction: torch.Tensor, unet_input: torch.Tensor, level: tuple[float, float]
) -> torch.Tensor:
    """Return the model's guess of the clean latents.

    With z = alpha x0 + sigma eps (variance preserving): x0 = (z - sigma eps) / alpha, and for the velocity
    v = alpha eps - sigma x0 (Salimans & Ho 2022, arXiv:2202.00512, appendix D): x0 = alpha z - sigma v.
    """
    alpha, sigma = level
    if kind == "epsilon":
        return (unet_input - sigma * prediction) / alpha
    if kind == "v_prediction":
        return alpha * unet_input - sigma * prediction
    return prediction
