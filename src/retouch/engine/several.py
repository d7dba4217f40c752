"""Several engines over one bundle, each with its share of the processor's threads.

Threads that share the operations of one call wait for each other after each, and in a small model there are
thousands of small ones. Threads with a call each wait for nobody: on two cores, two engines of one thread made 3.1
pictures a second where one engine of two made 2.6. A lone picture takes longer, so this is for many.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Self, TypeVar

import torch

from retouch.engine.engine import Engine, EngineStats
from retouch.engine.plan import Plan
from retouch.engine.scheduler import Stage
from retouch.engine.settings import EngineSettings
from retouch.engine.ticket import Ticket
from retouch.engine.workers import gnu_runtime
from retouch.errors import EngineClosed
from retouch.models.bundle import ModelBundle

N = TypeVar("N", int, float)

_SMALL_PARAMETERS = 50_000_000
"""Of a UNet; the operations of larger ones keep a team busy, and their memory is not to be had twice."""
_MOST_ENGINES = 8
"""They take turns in the interpreter, which each needs for some hundredths of its time."""


class Engines:
    """Spreads plans over engines of the same settings; to whoever uses it, it is one `Engine`.

    A picture's bits do not depend on which engine made it: they pad their calls to the same rows, and compute on
    fewer threads only what is equal on all (`Team`).
    """

    def __init__(self, bundle: ModelBundle, settings: EngineSettings) -> None:
        self.settings = settings
        self._engines = tuple(Engine(bundle, settings) for _ in range(settings.engines))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(drain=kind is None)

    def submit(self, plan: Plan) -> Ticket:
        """Queue a plan at the engine that has least to do; as `Engine.submit`."""
        for engine in sorted(self._engines, key=lambda engine: engine.stats().unet_rows):
            with suppress(EngineClosed):  # one may have ended by a fault of its own, with nothing left to do
                return engine.submit(plan)
        raise EngineClosed("all engines were closed")

    def stats(self) -> EngineStats:
        """Return a look at all of them together."""
        looks = [engine.stats() for engine in self._engines]
        return EngineStats(
            active=sum(look.active for look in looks),
            queued=sum(look.queued for look in looks),
            unet_rows=sum(look.unet_rows for look in looks),
            size_bytes=sum(look.size_bytes for look in looks),
            calls=_added([look.calls for look in looks]),
            rows=_added([look.rows for look in looks]),
            model_s=_added([look.model_s for look in looks]),
            tick_s=sum(look.tick_s for look in looks),
        )

    def close(self, *, drain: bool = True) -> None:
        """Take nothing more, and end the loops; as `Engine.close`."""
        for engine in self._engines:
            engine.stop(drain=drain)
        for engine in self._engines:
            engine.close(drain=drain)


def _added(parts: Sequence[Mapping[Stage, N]]) -> dict[Stage, N]:
    total: dict[Stage, N] = {}
    for part in parts:
        for kind, number in part.items():
            total[kind] = total.get(kind, 0) + number
    return total


def start(bundle: ModelBundle, settings: EngineSettings) -> Engine | Engines:
    """Return a running engine of these settings."""
    return Engine(bundle, settings) if settings.engines == 1 else Engines(bundle, settings)


def engines_of_many(bundle: ModelBundle) -> int:
    """Return with how many engines a device makes most pictures a second: 1 on any but a CPU."""
    if bundle.device.type != "cpu" or gnu_runtime() is None:  # who computes where is not to be told elsewhere
        return 1
    parameters = sum(weights.numel() for weights in bundle.unet.parameters())
    return 1 if parameters > _SMALL_PARAMETERS else max(1, min(torch.get_num_threads(), _MOST_ENGINES))
