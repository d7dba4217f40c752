"""The one place where an error of the doors becomes an answer.

Inner doors raise. What they raise before the body was read is answered at once; the rest of the body is then
thrown away for a moment, because a connection that is closed with unread bytes is reset, and a client that is
still sending would see the reset in place of the answer.
"""

import asyncio
import json
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retouch.errors import RetouchError, Unauthorized, Unavailable
from retouch.serve.dialect import plain_words
from retouch.serve.request_ids import request_id_of
from retouch.serve.scopes import has_body, header_values

LINGER_S = 2.0
"""How long what is left of a refused body is thrown away."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: status, body and headers (names in lower case)."""

    status: int
    body: bytes
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)


Render = Callable[[Scope, RetouchError], Answer]
"""Says an error in the words of the dialect that the scope's path belongs to."""


def plain_answer(scope: Scope, error: RetouchError) -> Answer:
    """Say an error in the words of no dialect: code, message, hint and the request's id."""
    words = plain_words(error)
    body = json.dumps({"error": {**words.body["error"], "request_id": request_id_of(scope)}}).encode()
    return Answer(error.status, body, [(b"content-type", b"application/json"), *refusal_headers(error)])


def refusal_headers(error: RetouchError) -> list[tuple[bytes, bytes]]:
    """Return the headers that belong to an error in every dialect: when to come again, and how to log in."""
    headers = []
    if isinstance(error, Unavailable) and error.retry_after_s is not None:
        headers.append((b"retry-after", str(max(1, math.ceil(error.retry_after_s))).encode()))
    if isinstance(error, Unauthorized):
        headers.append((b"www-authenticate", b'Bearer realm="retouch"'))
    return headers


class Refusals:
    """Answers for what is raised further in: a `RetouchError` as it says, anything else as an internal error.

    What was raised after an answer had begun can only end the connection.
    """

    def __init__(self, app: ASGIApp, *, render: Render = plain_answer, linger_s: float = LINGER_S) -> None:
        self.app = app
        self.render = render
        self.linger_s = linger_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(receive, send, is_read=not has_body(scope))
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except Exception as error:  # noqa: BLE001 - the last door
            failure = told_as(error)
        else:
            return
        if not exchange.has_begun:
            await self._refuse(failure, scope, exchange)
        elif not exchange.is_done:  # a server drops the connection of an answer that is left unfinished
            _log.warning("answer broken off: %s", failure.code)

    async def _refuse(self, error: RetouchError, scope: Scope, exchange: "_Exchange") -> None:
        answer = self.render(scope, error)
        length = (b"content-length", str(len(answer.body)).encode())
        closing = [] if exchange.is_read else [(b"connection", b"close")]
        start: Message = {
            "type": "http.response.start",
            "status": answer.status,
            "headers": [*answer.headers, length, *closing],
        }
        await exchange.send(start)
        # The length was told, so the client has the whole answer; the exchange stays open for what it still sends.
        await exchange.send({"type": "http.response.body", "body": answer.body, "more_body": True})
        if not exchange.is_read and not header_values(scope, b"expect"):
            await exchange.throw_away(self.linger_s)
        await exchange.send({"type": "http.response.body", "body": b"", "more_body": False})


def told_as(error: Exception) -> RetouchError:
    """Return what clients are told of an error: of a defect nothing but that there is one, which is logged."""
    if isinstance(error, RetouchError):
        return error
    _log.error("unexpected %s", type(error).__name__, exc_info=error)
    return RetouchError("internal error", hint="tell the operator the request id")


class _Exchange:
    """One request and its answer, as far as they have come."""

    def __init__(self, receive: Receive, send: Send, *, is_read: bool) -> None:
        self._receive, self._send = receive, send
        self.is_read = is_read
        self.has_begun = self.is_done = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            self.is_read = True
        return message

    async def send(self, message: Message) -> None:
        self.has_begun = True
        self.is_done = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._send(message)

    async def throw_away(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not self.is_read:
                    await self.receive()
        except TimeoutError:
            pass
