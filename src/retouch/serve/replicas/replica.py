"""One replica: the application of `retouch serve` in an actor of Ray Serve."""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from starlette.types import Receive, Scope, Send

from retouch.errors import GenerationFailed
from retouch.jobs.folder import default_jobs_folder
from retouch.serve.keys import Keyring
from retouch.serve.replicas.scale import ROWS, Scale
from retouch.serve.settings import ServeSettings

if TYPE_CHECKING:
    from retouch.inpainter import Inpainter
    from retouch.serve.start import Built

_LAST_ANSWERS_S = 15.0
"""What a replica has, beside the grace time, to answer the last requests and to let go of its store."""
_STARTS = 3


@dataclass(frozen=True, slots=True)
class Spec:
    """What a replica is made of: plain values, which are sent to it.

    Attributes:
        load: makes its engines.
        settings: without keys.
        keyring: digests of the keys.
        root: the path below which it is served.
    """

    load: "Callable[[], Sequence[Inpainter]]"
    settings: ServeSettings
    keyring: Keyring
    root: str = ""

    @classmethod
    def of(cls, load: "Callable[[], Sequence[Inpainter]]", settings: ServeSettings, keyring: Keyring) -> "Spec":
        """Return the spec of a replica: jobs of one that ends are done by the others, in the same folder."""
        folder = settings.jobs_folder or default_jobs_folder(os.environ)
        told = {"api_keys": None, "api_keys_file": None, "resume_jobs": True, "jobs_folder": folder.absolute()}
        return cls(load, settings.model_copy(update=told), keyring)

    def below(self, name: str, load: "Callable[[], Sequence[Inpainter]]") -> "Spec":
        """Return the spec of another model that is served beside this one, with jobs of its own."""
        assert self.settings.jobs_folder is not None
        settings = self.settings.model_copy(update={"jobs_folder": self.settings.jobs_folder / "models" / name})
        return replace(self, load=load, settings=settings, root=f"/models/{name}")


class Served:
    """The application with its service, for Ray Serve to call."""

    def __init__(self, built: "Built") -> None:
        self._app = built.app
        self.service = built.service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


class Replica:
    """What Ray Serve asks of a replica beside requests; `app` is its `Served`."""

    app: Served

    def check_health(self) -> None:
        """Let Ray Serve start this replica again where the engines make no pictures any more.

        Raises:
            GenerationFailed: they do not.
        """
        if not self.app.service.is_live:
            raise GenerationFailed("the engines make no pictures any more")

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Tell how much is under way."""
        return {ROWS: float(self.app.service.admission.rows)}


def deployment_of(spec: Spec, scale: Scale) -> Any:
    """Return an application of Ray Serve, ready to be run."""
    from ray import serve

    def build() -> Served:
        from retouch.serve.logs import write_logs
        from retouch.serve.start import assemble

        write_logs(logging.getLevelNamesMapping()[spec.settings.log_level.upper()])
        return Served(assemble(spec.settings, spec.load, keyring=spec.keyring, is_shared=True, root=spec.root))

    deployment = serve.deployment(
        name="Replica",
        max_ongoing_requests=spec.settings.max_connections,
        graceful_shutdown_wait_loop_s=0.2,
        graceful_shutdown_timeout_s=spec.settings.drain_s + _LAST_ANSWERS_S,
        health_check_period_s=5.0,
        max_constructor_retry_count=_STARTS,
        **scale.options(),
    )
    return deployment(serve.ingress(build)(Replica)).bind()
