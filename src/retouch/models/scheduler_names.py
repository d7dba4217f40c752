"""The names by which people know samplers and schedule types, and what they are in diffusers."""

import re
from collections.abc import Mapping
from typing import Any

from retouch.errors import InvalidField

Options = Mapping[str, Any]

_MULTISTEP = "DPMSolverMultistepScheduler"
_SINGLESTEP = "DPMSolverSinglestepScheduler"
_SDE: Options = {"algorithm_type": "sde-dpmsolver++"}
_ODE: Options = {"algorithm_type": "dpmsolver++"}
_LOWER: Options = {"lower_order_final": True}  # what the class switches to by itself, with a warning

# A1111's menu (its repository: modules/sd_samplers_kdiffusion.py), as the documentation of diffusers maps it
# ("Schedulers", api/schedulers/overview). It takes the single-step solver for "DPM++ SDE" and "DPM++ 2S a", which
# draws no noise; the one that does is "DPM++ 2S SDE" here.
SAMPLERS: Mapping[str, tuple[str, Options]] = {
    "DDIM": ("DDIMScheduler", {}),
    "DDPM": ("DDPMScheduler", {}),
    "DEIS": ("DEISMultistepScheduler", {}),
    "DPM++ 2M": (_MULTISTEP, {**_ODE, "solver_order": 2}),
    "DPM++ 2M SDE": (_MULTISTEP, {**_SDE, "solver_order": 2}),
    "DPM++ 2M SDE Heun": (_MULTISTEP, {**_SDE, "solver_order": 2, "solver_type": "heun"}),
    "DPM++ 2S": (_SINGLESTEP, {**_ODE, **_LOWER}),
    "DPM++ 2S a": (_SINGLESTEP, {**_ODE, **_LOWER}),
    "DPM++ 2S SDE": (_SINGLESTEP, {**_SDE, **_LOWER}),
    "DPM++ 3M": (_MULTISTEP, {**_ODE, "solver_order": 3}),
    "DPM++ 3M SDE": (_MULTISTEP, {**_SDE, "solver_order": 3}),
    "DPM++ SDE": (_SINGLESTEP, {**_ODE, **_LOWER}),
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
CLASSES = tuple(sorted({class_name for class_name, _ in SAMPLERS.values()}))

# A1111's schedule types (modules/sd_schedulers.py), by the same documentation; Uniform, Normal, DDIM and Turbo by
# their formulas there.
SCHEDULES: Mapping[str, Options] = {
    "Karras": {"use_karras_sigmas": True},
    "Exponential": {"timestep_spacing": "linspace", "use_exponential_sigmas": True},
    "Beta": {"timestep_spacing": "linspace", "use_beta_sigmas": True},
    "SGM Uniform": {"timestep_spacing": "trailing"},
    "Simple": {"timestep_spacing": "trailing"},
    "Turbo": {"timestep_spacing": "trailing"},
    "Uniform": {"timestep_spacing": "linspace"},
    "Normal": {"timestep_spacing": "linspace"},
    "DDIM": {"timestep_spacing": "leading", "steps_offset": 1},
}

_NO_SAMPLER = "diffusers has no such sampler"
_NO_SCHEDULE = "diffusers has no such schedule"
REFUSED: Mapping[str, str] = {
    "DDIM CFG++": _NO_SAMPLER,
    "DPM adaptive": _NO_SAMPLER,
    "DPM fast": _NO_SAMPLER,
    "HeunPP2": _NO_SAMPLER,
    "Restart": _NO_SAMPLER,
    "DPMSolverSDEScheduler": "it draws its noise from a source of its own, not from the request's seed",
}
REFUSED_SCHEDULES: Mapping[str, str] = {
    "Align Your Steps": _NO_SCHEDULE,
    "AYS": _NO_SCHEDULE,
    "Automatic": "it is another schedule for every sampler: name the one you want, as in 'DPM++ 2M Karras'",
    "KL Optimal": _NO_SCHEDULE,
    "Polyexponential": _NO_SCHEDULE,
}
_ENDINGS: Mapping[str, Options | str] = {"": {}, **SCHEDULES, **REFUSED_SCHEDULES}


def look_up(name: str) -> tuple[str, Options, Options]:
    """Find what a name stands for: a class of diffusers, the sampler's options, and those of the schedule type.

    Args:
        name: a class name of diffusers, or a name of A1111's menu with or without a schedule type behind it; case,
            hyphens and underscores do not count.
    Raises:
        InvalidField: nothing that runs here has this name; the message says why where the name is known.
    """
    plain = _plain(name)
    for schedule, options in _ENDINGS.items():
        sampler = _before(plain, schedule)
        if reason := _reason(sampler):
            raise _refused(name, reason)
        found = _sampler(sampler)
        if found is None:
            continue
        if isinstance(options, str):
            raise _refused(name, f"{schedule}: {options}")
        return *found, options
    raise unknown(name)


def parted(name: str) -> tuple[str, str]:
    """Return what `look_up` takes a name for, as the menus spell it: the sampler, and the schedule type behind it.

    The schedule is "" where none stands there; a name of which nothing is known comes back as it is.
    """
    plain = _plain(name)
    for schedule in _ENDINGS:
        before = _before(plain, schedule)
        if found := next((one for one in (*SAMPLERS, *CLASSES, *REFUSED) if _plain(one) == before), None):
            return found, schedule
    return name, ""


def known_schedulers() -> tuple[str, ...]:
    """Return every name of a sampler, without the schedule types that may stand behind it."""
    return (*sorted(SAMPLERS), *CLASSES)


def unknown(name: str) -> InvalidField:
    """Return the error for a name that nothing is known of."""
    return InvalidField("scheduler", f"{name!r} is not known", hint=_hint())


def _refused(name: str, reason: str) -> InvalidField:
    return InvalidField("scheduler", f"{name!r} is not offered: {reason}", hint=_hint())


def _hint() -> str:
    return f"one of: {', '.join(known_schedulers())}; and behind it one of: {', '.join(SCHEDULES)}"


def _sampler(plain: str) -> tuple[str, Options] | None:
    for name, found in SAMPLERS.items():
        if plain == _plain(name):
            return found
    for class_name in CLASSES:
        if plain in (class_name.lower(), class_name.lower().removesuffix("scheduler")):
            return class_name, {}
    return None


def _reason(plain: str) -> str | None:
    return next((why for name, why in REFUSED.items() if _plain(name) in (plain, f"{plain}scheduler")), None)


def _before(plain: str, schedule: str) -> str:
    """Return what stands before a schedule type; nothing where it does not stand at the end."""
    suffix = f" {_plain(schedule)}" if schedule else ""
    return plain.removesuffix(suffix) if plain.endswith(suffix) else ""


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).strip().lower()
