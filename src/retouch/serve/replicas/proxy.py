"""What Ray Serve's proxies say by themselves, in our words: how to go on where a replica is gone or missing.

A proxy that loses the replica of a request answers 500 without a word, and 404 where nothing is deployed. Both are
503 with `Retry-After` here: nobody has got an answer to the request, so it may be sent again. It is not sent again
from here, for it may be what ended the replica.

A replica that dies as it takes a request may take the body with it: Ray then asks another one, which waits for the
body in vain and says that the client was slow. A body that was here whole was not slow, and is asked for again.

Ray reads `CALLBACK` where it starts a proxy; set it where Ray is started, if that is not done by `retouch serve`.
"""

from collections.abc import MutableMapping
from typing import Any

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retouch.errors import BodyTimeout, DeadlineExceeded, Draining, RetouchError, Unavailable
from retouch.serve.answer_headers import AnswerHeaders
from retouch.serve.answers import render
from retouch.serve.request_ids import HEADER, RequestIds

CALLBACK = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"
_RAYS_OWN = "/-/"
_MARK = b"x-content-type-options"
"""Every answer of the application has it, and none of Ray's."""
_SOON_S = 1.0
_LATER_S = 5.0


def middlewares() -> list[Middleware]:
    """Return what a proxy's application stands behind."""
    return [Middleware(InOurWords)]


class InOurWords:
    """Puts our answer in the place of Ray's own, or of none."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._refuse = RequestIds(AnswerHeaders(_refuse))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_RAYS_OWN):
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(receive, send)
        await self._app(scope, exchange.receive, exchange.send)
        if exchange.error is not None:
            scope["retouch.error"] = exchange.error
            await self._refuse(scope, receive, send)


class _Exchange:
    """One request and its answer, as far as they have come.

    Attributes:
        error: what is to be said in the answer's place; None where it is the application's.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._body_is_here = False
        self.error: RetouchError | None = _send_again("the replica that did this is gone, and what it did with it")

    async def receive(self) -> Message:
        message = await self._receive()
        self._body_is_here |= message["type"] == "http.request" and not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.error = self._error_of(message)
            message = _with_one_id(message)
        if self.error is None:
            await self._send(message)

    def _error_of(self, start: Message) -> RetouchError | None:
        if _MARK not in [name.lower() for name, _ in start["headers"]]:
            return _said_by_ray(start["status"])
        if start["status"] == BodyTimeout.status and self._body_is_here:
            return _send_again("the body was lost on its way to a replica")
        return None


def _send_again(message: str) -> RetouchError:
    hint = "send it again; with an Idempotency-Key it is the same job"
    return Unavailable(message, hint=hint, retry_after_s=_SOON_S)


def _said_by_ray(status: int) -> RetouchError:
    if status == 404:
        return Draining("nothing is served here now", hint="come again later", retry_after_s=_LATER_S)
    if status == 408:
        return DeadlineExceeded("the time that the request gave itself is over")
    if status in (429, 503):
        return Unavailable("no replica has room now", hint="come again later", retry_after_s=_SOON_S)
    return RetouchError("internal error", hint="tell the operator the request id")


def _with_one_id(message: MutableMapping[str, Any]) -> Message:
    """Return the start of an answer without the second, equal id that Ray adds to it."""
    headers = list(message["headers"])
    ids = [one for one in headers if one[0].lower() == HEADER]
    return {**message, "headers": [one for one in headers if one[0].lower() != HEADER] + ids[:1]}


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - an ASGI application
    answer = render(scope, scope["retouch.error"])
    length = (b"content-length", str(len(answer.body)).encode())
    await send({"type": "http.response.start", "status": answer.status, "headers": [*answer.headers, length]})
    await send({"type": "http.response.body", "body": answer.body})
