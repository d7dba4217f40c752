"""The entrance: who may start work takes a place in the queue before a byte of the body is read."""

from collections.abc import Collection

from starlette.types import ASGIApp, Receive, Scope, Send

from retouch.errors import RetouchError
from retouch.serve.admission import Admission
from retouch.serve.answers import answer_to
from retouch.serve.asking import caller_of
from retouch.serve.metrics import Metrics


class Entrance:
    """Refuses at once where there is no room, and gives back what a request held when its answer has gone."""

    def __init__(self, app: ASGIApp, *, admission: Admission, metrics: Metrics, work: Collection[str]) -> None:
        """Let `work`, as `METHOD /path`, in by admission, and all else pass."""
        self._app = app
        self._admission = admission
        self._metrics = metrics
        self._work = frozenset(work)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a place, or answer that there is none."""
        if scope["type"] != "http" or f"{scope['method']} {scope['path']}" not in self._work:
            await self._app(scope, receive, send)
            return
        try:
            lease = self._admission.enter(caller_of(scope), size_bytes=_announced_bytes(scope))
        except RetouchError as error:
            self._metrics.refused(error)
            await answer_to(error, scope["path"])(scope, receive, send)
            return
        scope.setdefault("state", {})["lease"] = lease
        with lease:
            await self._app(scope, receive, send)


def _announced_bytes(scope: Scope) -> int:
    """Read the length of the body from its headers; 0 where they do not say it."""
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(lengths[0]) if lengths and lengths[0].isdigit() else 0
