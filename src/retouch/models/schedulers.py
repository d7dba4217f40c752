"""Schedulers of diffusers, named by a caller and configured as the checkpoint demands."""

import copy
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from retouch.errors import InvalidField, MissingExtra
from retouch.models.scheduler_names import CLASSES, look_up, unknown

if TYPE_CHECKING:
    from retouch.models.bundle import ModelBundle

_SIGMAS = frozenset({"use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"})


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
        return f"{self.class_name} {json.dumps(dict(self.config), sort_keys=True, default=_as_json)}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SchedulerSpec) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def build(self) -> Any:
        """Return a new scheduler, whose state belongs to one trajectory."""
        # A copy of one that was never stepped: the constructor of KDPM2 alone takes a third of a second.
        return copy.deepcopy(_built(self))


def check_name(name: str) -> None:
    """Refuse a name that `resolve_scheduler` would not find with any checkpoint; nothing heavy is imported.

    Raises:
        InvalidField: no scheduler has this name.
    """
    look_up(name)


def resolve_scheduler(name: str | None, bundle: "ModelBundle", *, exact: bool = False) -> SchedulerSpec:
    """Find the scheduler that a caller named, made from the checkpoint's original config.

    Args:
        name: as `look_up` takes it; None is the checkpoint's own scheduler.
        bundle: whose `scheduler_config` is the config as it stands on disk.
        exact: configure it as diffusers' pipeline has it, clipping included, for the reference mode.
    Raises:
        InvalidField: no scheduler has this name, or it does not take the schedule type, or the checkpoint's own is
            none for Stable Diffusion.
        MissingExtra: it needs SciPy, which is not installed.
    """
    class_name, options, schedule = (bundle.scheduler_class, {}, {}) if name is None else look_up(name)
    if name is None:
        _check_own(class_name)
    overrides = {**options, **schedule}
    _check_scipy(name or class_name, class_name, overrides)
    accepted = _accepted(class_name)
    if "timestep_spacing" not in accepted and overrides.get("timestep_spacing") == "linspace":
        del overrides["timestep_spacing"]  # the single-step solver has no other
    refused = [key for key in overrides if key not in accepted]
    if refused:
        raise InvalidField("scheduler", f"{name!r} does not exist: {class_name} has no {refused[0]}")
    own = _as_in_pipeline(bundle, class_name) if exact else _patched(bundle, class_name)
    if schedule:  # of the checkpoint's own schedule nothing stays; two at once are an error in diffusers
        own |= dict.fromkeys(_SIGMAS & own.keys(), False)
    config = {**own, **overrides, "prediction_type": bundle.prediction_type}
    return SchedulerSpec(class_name, {key: config[key] for key in config if key in accepted})


def own_scheduler(config: Mapping[str, Any]) -> Any:
    """Return a checkpoint's own scheduler, from its config as it stands on disk.

    Raises:
        InvalidField: it is none for Stable Diffusion.
        MissingExtra: it needs SciPy, which is not installed.
    """
    class_name, values = str(config["_class_name"]), _public(config)
    _check_own(class_name)
    _check_scipy(class_name, class_name, values)
    accepted = _accepted(class_name)
    return SchedulerSpec(class_name, {key: values[key] for key in values if key in accepted}).build()


def _check_own(class_name: str) -> None:
    if class_name not in _own_classes():
        raise InvalidField(
            "scheduler",
            f"the checkpoint's own is {class_name}, which does not step Stable Diffusion models here",
            hint="name another one, such as DDIM or Euler a",
        )


def _as_json(value: Any) -> Any:
    # Betas may be an array, of which `str` shows four digits of some.
    return value.tolist() if hasattr(value, "tolist") else str(value)


@lru_cache(maxsize=32)
def _built(spec: SchedulerSpec) -> Any:
    import diffusers

    return getattr(diffusers, spec.class_name)(**spec.config)


def _patched(bundle: "ModelBundle", class_name: str) -> dict[str, Any]:
    """Return the original config with what Stable Diffusion takes for granted.

    `steps_offset` 1 and `skip_prk_steps` are what diffusers' own pipeline sets on a checkpoint that lacks them
    (its constructor); clipping the predicted x0 to [-1, 1] is for pixels, and DDIM's class default all the same.
    """
    config = _public(bundle.scheduler_config)
    if class_name == bundle.scheduler_class or "steps_offset" in config:
        config["steps_offset"] = 1
    config["skip_prk_steps"] = True
    config.setdefault("clip_sample", False)
    return config


def _as_in_pipeline(bundle: "ModelBundle", class_name: str) -> dict[str, Any]:
    """Return the config that the scheduler has in a diffusers pipeline of the same checkpoint.

    One that was handed over in memory is taken as it is. One from disk went through the pipeline's constructor,
    which corrects two values of the checkpoint's own; another class inherits what stands in the config alone.
    """
    is_own = class_name == bundle.scheduler_class
    if bundle.scheduler_as_is is not None:
        return _public(bundle.scheduler_as_is if is_own else bundle.scheduler_config)
    config = _public(bundle.scheduler_config)
    for key, value in (("steps_offset", 1), ("skip_prk_steps", True)):
        if is_own or key in config:
            config[key] = value
    return config


def _public(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if not key.startswith("_")}


@cache
def _own_classes() -> frozenset[str]:
    """Return what a checkpoint may bring: the classes that have names here, and what diffusers declares fit."""
    from diffusers.schedulers import KarrasDiffusionSchedulers

    return frozenset((*CLASSES, *KarrasDiffusionSchedulers.__members__)) - {"DPMSolverSDEScheduler"}


@cache
def _accepted(class_name: str) -> frozenset[str]:
    import diffusers

    cls = getattr(diffusers, class_name, None)
    # The name may come from a checkpoint's config: no other class is built because a file says so.
    if not (isinstance(cls, type) and issubclass(cls, diffusers.SchedulerMixin)):
        raise unknown(class_name)
    return frozenset(inspect.signature(cls).parameters)


def _check_scipy(name: str, class_name: str, overrides: Mapping[str, Any]) -> None:
    if class_name != "LMSDiscreteScheduler" and not overrides.get("use_beta_sigmas"):
        return
    if find_spec("scipy") is None:
        raise MissingExtra(f"the scheduler {name!r} needs SciPy", hint="pip install scipy, or name another one")
