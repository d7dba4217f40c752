"""A1111's samplers and schedule types: two fields there, one name here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from retouch.models.scheduler_names import SAMPLERS, SCHEDULES, parted

_AUTOMATIC = "Automatic"
# What `Automatic` is for each sampler. Source: A1111's modules sd_samplers_kdiffusion (the option `scheduler`, or
# k-diffusion's own schedule, `Uniform`) and sd_samplers_timesteps, whose samplers have their own.
_KARRAS = ("DPM++ 2M", "DPM++ SDE", "DPM++ 2S a", "DPM2", "DPM2 a")
_EXPONENTIAL = ("DPM++ 2M SDE", "DPM++ 2M SDE Heun", "DPM++ 3M SDE")
_UNIFORM = ("Euler", "Euler a", "Heun", "LMS")
_OWN: Mapping[str, str] = {
    **dict.fromkeys(_KARRAS, "Karras"),
    **dict.fromkeys(_EXPONENTIAL, "Exponential"),
    **dict.fromkeys(_UNIFORM, "Uniform"),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A sampler and its schedule type, as the menus spell them; "" where the sampler has a schedule of its own."""

    sampler: str
    schedule: str

    @property
    def name(self) -> str:
        """Its name in one."""
        return f"{self.sampler} {self.schedule}".strip()

    @property
    def eta(self) -> float | None:
        """How much noise it draws, of what A1111's `eta` could ask for; None where that says nothing."""
        if self.sampler == "DDIM":
            return 0.0
        return 1.0 if self.sampler.endswith(" a") or "SDE" in self.sampler else None


def choose(sampler_name: str, scheduler: str | None) -> Choice:
    """Put the two fields together; a schedule type behind the sampler's name goes first, as in A1111.

    What nobody knows is left for `look_up` to refuse.
    """
    sampler, schedule = parted(sampler_name)
    if schedule in ("", _AUTOMATIC):
        schedule = scheduler or _AUTOMATIC
        sampler, schedule = parted(f"{sampler} {schedule}")
    if schedule == _AUTOMATIC:
        schedule = _OWN.get(sampler, "")
    return Choice(sampler, schedule)


def samplers() -> list[dict[str, Any]]:
    """Return what `GET /sdapi/v1/samplers` lists."""
    return [{"name": name, "aliases": [], "options": _options(name)} for name in sorted(SAMPLERS)]


def schedulers() -> list[dict[str, Any]]:
    """Return what `GET /sdapi/v1/schedulers` lists."""
    return [
        {
            "name": label.lower().replace(" ", "_"),
            "label": label,
            "aliases": None,
            "default_rho": -1.0,
            "need_inner_model": False,
        }
        for label in (_AUTOMATIC, *SCHEDULES)
    ]


def _options(sampler: str) -> dict[str, str]:
    own = _OWN.get(sampler)
    return {"scheduler": own.lower()} if own else {}
