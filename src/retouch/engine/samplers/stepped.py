"""Schedulers of diffusers, stepped as its own pipelines do."""

import inspect
from typing import Any

import numpy as np
import torch

from retouch.engine.sampler import Course
from retouch.errors import InvalidField
from retouch.models.schedulers import SchedulerSpec


class SchedulerSampler:
    """A diffusers scheduler, stepped as diffusers' own pipelines do."""

    def __init__(self, spec: SchedulerSpec, course: Course) -> None:
        self._scheduler = spec.build()
        self._course = course
        takes = inspect.signature(self._scheduler.step).parameters
        # As diffusers' pipeline calls it, whose `eta` is 0: TCD's own default draws noise at every step.
        self._options: dict[str, Any] = {"eta": 0.0} if "eta" in takes else {}
        self._takes_generator = "generator" in takes
        self._timesteps = _slice(self._scheduler, course)
        self._levels = noise_levels(self._scheduler, self._timesteps)
        # Python floats once, not a tensor read each step.
        self.timesteps: tuple[float, ...] = tuple(self._timesteps.tolist())

    @property
    def scheduler(self) -> Any:
        """The scheduler, for those who compile it into a table."""
        return self._scheduler

    def start(self, noise: torch.Tensor, image_latents: torch.Tensor | None) -> torch.Tensor:
        if self._course.is_whole or image_latents is None:
            return noise * float(self._scheduler.init_noise_sigma)
        noisy: torch.Tensor = self._scheduler.add_noise(image_latents, noise, self._timesteps[:1])
        return noisy

    def scale_input(self, latents: torch.Tensor, index: int) -> torch.Tensor:
        scaled: torch.Tensor = self._scheduler.scale_model_input(latents, self._timesteps[index])
        return scaled

    def step(
        self, prediction: torch.Tensor, latents: torch.Tensor, index: int, generator: torch.Generator
    ) -> torch.Tensor:
        extra = self._options | ({"generator": generator} if self._takes_generator else {})
        stepped = self._scheduler.step(prediction, self._timesteps[index], latents, return_dict=False, **extra)
        result: torch.Tensor = stepped[0]
        return result

    def renoise(self, image_latents: torch.Tensor, noise: torch.Tensor, index: int) -> torch.Tensor:
        if index + 1 == len(self.timesteps):
            return image_latents
        noisy: torch.Tensor = self._scheduler.add_noise(image_latents, noise, self._timesteps[index + 1][None])
        return noisy

    def level(self, index: int) -> tuple[float, float]:
        return self._levels[index]


def _slice(scheduler: Any, course: Course) -> torch.Tensor:
    """Set the timesteps and leave out the skipped ones; return the rest."""
    try:
        scheduler.set_timesteps(course.num_inference_steps, device="cpu")
    except (ValueError, IndexError, RuntimeError) as error:
        raise InvalidField("num_inference_steps", f"{course.num_inference_steps}: {error}") from error
    skipped = course.skipped_steps
    if _is_plms(scheduler) and skipped and not course.exact_reference:
        scheduler.timesteps = _plms_timesteps(scheduler.timesteps, skipped)
        return torch.as_tensor(scheduler.timesteps)
    skipped *= scheduler.order
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(skipped)
    return torch.as_tensor(scheduler.timesteps[skipped:])


def _is_plms(scheduler: Any) -> bool:
    return type(scheduler).__name__ == "PNDMScheduler" and bool(scheduler.config.skip_prk_steps)


def _plms_timesteps(timesteps: torch.Tensor, skipped: int) -> torch.Tensor:
    """Cut a PLMS schedule so that it starts anew.

    PLMS makes its second step twice (t0 t1 t1 t2 ...). diffusers 0.42 cuts that list as it is: the repeated
    entry is lost, the scheduler repeats the step all the same, and lags one step behind to the end.
    """
    plain = torch.cat([timesteps[:2], timesteps[3:]])[skipped:]
    return torch.cat([plain[:2], plain[1:2], plain[2:]])


def noise_levels(scheduler: Any, timesteps: torch.Tensor) -> tuple[tuple[float, float], ...]:
    """Return (alpha, sigma) of the UNet's input at each of the remaining timesteps.

    Schedulers with sigmas (sigma / alpha ratios) know their levels; the others stand on the training grid, and so
    do KDPM2's in-between stages, where log sigma is interpolated over t.
    """
    if hasattr(scheduler, "sigmas") and not hasattr(scheduler, "sigmas_interpol"):
        begin = len(scheduler.timesteps) - len(timesteps)
        ratios = np.asarray(scheduler.sigmas[begin : begin + len(timesteps)], dtype=np.float64)
    else:
        cumulative = scheduler.alphas_cumprod.double().numpy()
        with np.errstate(divide="ignore"):  # nothing of the picture is left where terminal SNR is zero
            grid = 0.5 * (np.log1p(-cumulative) - np.log(cumulative))
        ratios = np.exp(np.interp(timesteps.double().numpy(), np.arange(len(grid)), grid))
    alphas = 1.0 / np.sqrt(1.0 + ratios**2)
    sigmas = np.where(np.isinf(ratios), 1.0, np.minimum(ratios, np.finfo(np.float64).max) * alphas)
    return tuple(zip(alphas.tolist(), sigmas.tolist()))
