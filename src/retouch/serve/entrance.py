"""The entrance: work takes a place in the queue when its body has come, until its answer has gone."""

from collections.abc import Collection

from starlette.types import ASGIApp, Receive, Scope, Send

from retouch.errors import RetouchError
from retouch.serve.admission import Admission
from retouch.serve.asking import payer_of
from retouch.serve.metrics import Metrics
from retouch.serve.scopes import notes, routed_path


class Entrance:
    """Refuses at once where there is no room.

    Args:
        app: what stands further in.
        work: `METHOD /path` of the routes that start work; all else passes.
    """

    def __init__(self, app: ASGIApp, *, admission: Admission, metrics: Metrics, work: Collection[str]) -> None:
        self._app = app
        self._admission = admission
        self._metrics = metrics
        self._work = frozenset(work)

    def admit(self, scope: Scope) -> RetouchError | None:
        """Return what forbids a request before its body is read; None where nothing does."""
        if self.is_work(scope):
            try:
                self._admission.check(payer_of(scope))
            except RetouchError as error:
                self._metrics.refused(error)
                return error
        return None

    def shed(self, scope: Scope, *, kept: int) -> RetouchError | None:
        """Return what forbids work, whoever asks for it, and count it as answered.

        Args:
            kept: places that are kept for others.
        """
        try:
            self._admission.check(None, kept=kept)
        except RetouchError as error:
            self._metrics.refused(error)
            self._metrics.answered(routed_path(scope), scope["method"], error.status, 0.0)
            return error
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a place.

        Raises:
            Draining, QueueFull, RateLimited: there is none.
        """
        if not self.is_work(scope):
            await self._app(scope, receive, send)
            return
        try:
            lease = self._admission.enter(payer_of(scope))
        except RetouchError as error:
            self._metrics.refused(error)
            raise
        with lease:
            notes(scope)["lease"] = lease
            await self._app(scope, receive, send)

    def is_work(self, scope: Scope) -> bool:
        """Return whether a request starts work."""
        return scope["type"] == "http" and f"{scope['method']} {routed_path(scope)}" in self._work
