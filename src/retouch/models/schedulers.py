"""Names of schedulers, resolved to diffusers classes that are configured as the checkpoint demands."""

import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from retouch.errors import InvalidField

if TYPE_CHECKING:
    from retouch.models.bundle import ModelBundle

# The names of A1111's menu (its repository: modules/sd_samplers_kdiffusion.py), as the diffusers documentation
# maps them ("Schedulers", api/schedulers/overview). "DPM++ SDE" is the stochastic single-step solver there.
_SINGLE_STEP: Mapping[str, Any] = {
    "lower_order_final": True
}  # what the class switches to by itself, with a warning
_NAMES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "DDIM": ("DDIMScheduler", {}),
    "DDPM": ("DDPMScheduler", {}),
    "DEIS": ("DEISMultistepScheduler", {}),
    "DPM++ 2M": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "solver_order": 2}),
    "DPM++ 2M SDE": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++", "solver_order": 2}),
    "DPM++ 3M": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "solver_order": 3}),
    "DPM++ 2S": ("DPMSolverSinglestepScheduler", {**_SINGLE_STEP, "algorithm_type": "dpmsolver++"}),
    "DPM++ SDE": ("DPMSolverSinglestepScheduler", {**_SINGLE_STEP, "algorithm_type": "sde-dpmsolver++"}),
    "DPM2": ("KDPM2DiscreteScheduler", {}),
    "DPM2 a": ("KDPM2AncestralDiscreteScheduler", {}),
    "Euler": ("EulerDiscreteScheduler", {}),
    "Euler a": ("EulerAncestralDiscreteScheduler", {}),
    "Heun": ("HeunDiscreteScheduler", {}),
    "LCM": ("LCMScheduler", {}),
    "LMS": ("LMSDiscreteScheduler", {}),
    "PLMS": ("PNDMScheduler", {}),
    "PNDM": ("PNDMScheduler", {}),
    "SA-Solver": ("SASolverScheduler", {}),
    "TCD": ("TCDScheduler", {}),
    "UniPC": ("UniPCMultistepScheduler", {}),
}
_SPACINGS: Mapping[str, Mapping[str, Any]] = {
    "karras": {"use_karras_sigmas": True},
    "exponential": {"use_exponential_sigmas": True},
    "sgm uniform": {"timestep_spacing": "trailing"},
}
_CLASSES = tuple(sorted({class_name for class_name, _ in _NAMES.values()}))


@dataclass(frozen=True, slots=True, eq=False)
class SchedulerSpec:
    """A diffusers scheduler that is not built yet.

    Attributes:
        class_name: its class in `diffusers`.
        config: keyword arguments of its constructor, none that it does not take.
    """

    class_name: str
    config: Mapping[str, Any]

    @property
    def key(self) -> str:
        """Return text that is equal for specs that build equal schedulers."""
        return f"{self.class_name} {json.dumps(dict(self.config), sort_keys=True, default=str)}"

    def build(self) -> Any:
        """Return a new scheduler, whose state belongs to one trajectory."""
        import diffusers

        return getattr(diffusers, self.class_name)(**self.config)


def known_schedulers() -> tuple[str, ...]:
    """Return every name that `resolve_scheduler` takes, without the suffixes of the sigma spacings."""
    return (*sorted(_NAMES), *_CLASSES)


def check_name(name: str) -> None:
    """Refuse a name that `resolve_scheduler` would not find with any checkpoint; nothing heavy is imported.

    Raises:
        InvalidField: no scheduler has this name.
    """
    _lookup(name)


def resolve_scheduler(name: str | None, bundle: "ModelBundle") -> SchedulerSpec:
    """Find the scheduler that a caller named, made from the checkpoint's original config.

    Args:
        name: a class name of diffusers or a name of A1111's menu, in any case, the latter with an optional
            suffix `Karras`, `Exponential` or `SGM Uniform`; None is the checkpoint's own scheduler.
        bundle: whose `scheduler_config` is the config as it stands on disk.
    Raises:
        InvalidField: no scheduler has this name, or it does not take the suffix.
    """
    class_name, overrides = _lookup(name) if name is not None else (bundle.scheduler_class, {})
    if class_name not in _CLASSES and class_name != bundle.scheduler_class:
        raise _unknown(name or class_name)
    accepted = _accepted(class_name)
    refused = [key for key in overrides if key not in accepted]
    if refused:
        raise InvalidField("scheduler", f"{name!r} does not exist: {class_name} has no {refused[0]}")
    config = {**_patched(bundle, class_name), **overrides, "prediction_type": bundle.prediction_type}
    return SchedulerSpec(class_name, {key: config[key] for key in config if key in accepted})


def _patched(bundle: "ModelBundle", class_name: str) -> dict[str, Any]:
    """Return the original config with what Stable Diffusion takes for granted.

    `steps_offset` 1 and `skip_prk_steps` are what diffusers' own pipeline sets on a checkpoint that lacks them
    (its constructor); clipping the predicted x0 to [-1, 1] is for pixels, and DDIM's class default all the same.
    """
    config = {key: value for key, value in bundle.scheduler_config.items() if not key.startswith("_")}
    if class_name == bundle.scheduler_class or "steps_offset" in config:
        config["steps_offset"] = 1
    config["skip_prk_steps"] = True
    config.setdefault("clip_sample", False)
    return config


def _lookup(name: str) -> tuple[str, Mapping[str, Any]]:
    plain = _normalise(name)
    spacing: Mapping[str, Any] = {}
    for suffix, overrides in _SPACINGS.items():
        if plain.endswith(f" {suffix}"):
            plain, spacing = plain.removesuffix(f" {suffix}"), overrides
    for known, (class_name, overrides) in _NAMES.items():
        if plain == _normalise(known):
            return class_name, {**overrides, **spacing}
    for class_name in _CLASSES:
        if plain in (class_name.lower(), class_name.lower().removesuffix("scheduler")):
            return class_name, spacing
    raise _unknown(name)


def _normalise(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).strip().lower()


@cache
def _accepted(class_name: str) -> frozenset[str]:
    import diffusers

    cls = getattr(diffusers, class_name, None)
    # The name may come from a checkpoint's config: no other class is built because a file says so.
    if not (isinstance(cls, type) and issubclass(cls, diffusers.SchedulerMixin)):
        raise _unknown(class_name)
    return frozenset(inspect.signature(cls).parameters)


def _unknown(name: str) -> InvalidField:
    return InvalidField("scheduler", f"{name!r} is not known", hint=f"one of: {', '.join(known_schedulers())}")
