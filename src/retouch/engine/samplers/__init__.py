"""Samplers by name: each of our own is a module here that ends with its `SAMPLER`; the others are diffusers'."""

import pkgutil
from functools import cache
from importlib import import_module

from retouch.engine.sampler import Course, Sampler, SamplerSpec
from retouch.engine.samplers.stepped import SchedulerSampler
from retouch.engine.samplers.table import TableSampler, table_of
from retouch.models.bundle import ModelBundle
from retouch.models.schedulers import SchedulerSpec, resolve_scheduler


def resolve_sampler(name: str | None, bundle: ModelBundle) -> SamplerSpec:
    """Find the sampler that a caller named; None is the checkpoint's own scheduler.

    Raises:
        InvalidField: there is none of this name.
    """
    if name is not None and (own := own_samplers().get(name.casefold())):
        return own
    return SamplerSpec(
        resolve_scheduler(name, bundle).class_name,
        lambda owner, course: of_scheduler(resolve_scheduler(name, owner, exact=course.exact_reference), course),
    )


def of_scheduler(scheduler: SchedulerSpec, course: Course) -> Sampler:
    """Return a sampler of its own for one trajectory.

    The reference steps diffusers' scheduler itself; otherwise deterministic schedulers run from a table.
    """
    table = None if course.exact_reference else table_of(scheduler, course)
    return SchedulerSampler(scheduler, course) if table is None else TableSampler(table)


@cache
def own_samplers() -> dict[str, SamplerSpec]:
    """Return the samplers that are no scheduler of diffusers, by their names in lower case."""
    modules = (import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    specs: list[SamplerSpec] = [module.SAMPLER for module in modules if hasattr(module, "SAMPLER")]
    return {spec.name.casefold(): spec for spec in specs}
