"""The body of a request: read whole, within bytes and seconds, before anything further in hears of it.

Whatever parses it then has bytes of a bounded size and nothing to wait for. All bodies that are held at one time
share a budget, so that many callers take no more memory than a few.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retouch.errors import BodyTimeout, BodyTooLarge, MalformedBody, QueueFull, RetouchError, UnsupportedMedia
from retouch.serve.scopes import header_values

Admit = Callable[[Scope], RetouchError | None]
"""Says what forbids the work of a request, by its scope alone: before a byte of its body was asked for."""

_DIGITS = re.compile(r"[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """What bodies may be at most.

    Attributes:
        body_bytes: one body.
        held_bytes: all bodies of requests that are not answered yet.
        total_s: from the request's head to the last byte of its body.
        idle_s: from one piece of it to the next.
    """

    body_bytes: int = 32 * 2**20
    held_bytes: int = 512 * 2**20
    total_s: float = 30.0
    idle_s: float = 10.0


DEFAULT_BODY_LIMITS = BodyLimits()


class Body:
    """Reads bodies within limits; hands each on in one piece.

    Runs on one event loop; `held_bytes` is that loop's.

    Args:
        app: what stands further in; it hears nothing of a request whose body does not arrive.
        admit: asked first.
        limits: of sizes and times.
    """

    def __init__(
        self, app: ASGIApp, *, admit: Admit | None = None, limits: BodyLimits = DEFAULT_BODY_LIMITS
    ) -> None:
        self.app = app
        self.admit = admit
        self.limits = limits
        self.held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared_bytes = self._checked_length(scope)
        if self.admit is not None and (refusal := self.admit(scope)) is not None:
            raise refusal
        hold = _Hold(self)
        try:
            read = await self._read(receive, hold, declared_bytes)
            if read is not None:
                await self.app(scope, read, send)
        finally:
            hold.release()

    def _checked_length(self, scope: Scope) -> int:
        """Return how many bytes the head says at least, unless something that it says is refused."""
        lengths = header_values(scope, b"content-length")
        if lengths and (len(lengths) > 1 or not _DIGITS.fullmatch(lengths[0])):
            raise MalformedBody("the length of the body is not one whole number", hint="send one Content-Length")
        if lengths and header_values(scope, b"transfer-encoding"):
            raise MalformedBody(
                "the body has two lengths", hint="send Content-Length or Transfer-Encoding, not both"
            )
        declared_bytes = int(lengths[0]) if lengths else 0
        if declared_bytes > self.limits.body_bytes:
            raise self._too_large()
        if {value.lower() for value in header_values(scope, b"content-encoding")} - {"identity", ""}:
            raise UnsupportedMedia("the body is compressed", hint="send it without Content-Encoding")
        return declared_bytes

    async def _read(self, receive: Receive, hold: "_Hold", declared_bytes: int) -> Receive | None:
        """Return a `receive` that gives the whole body at once; None where the client went away.

        A server hands on no body that is shorter than it was declared; a proxy of Ray Serve may, where a replica
        died with its beginning.
        """
        body = bytearray()
        try:
            async with asyncio.timeout(self.limits.total_s):
                while True:
                    async with asyncio.timeout(self.limits.idle_s):
                        message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    piece = message.get("body", b"")
                    if len(body) + len(piece) > self.limits.body_bytes:
                        raise self._too_large()
                    hold.take(len(piece))
                    body += piece
                    if not message.get("more_body", False):
                        break
        except TimeoutError as error:
            raise BodyTimeout("the body did not arrive in time", hint="send it in one go") from error
        if len(body) < declared_bytes:
            raise BodyTimeout("the body did not arrive whole", hint="send it again")
        return _hand_over(bytes(body), receive)

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(
            f"the body is over {self.limits.body_bytes} bytes",
            hint="send smaller pictures, or fewer in one request",
        )


class _Hold:
    """What one request holds of the bytes that all may hold."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._bytes = 0

    def take(self, size_bytes: int) -> None:
        if self._body.held_bytes + size_bytes > self._body.limits.held_bytes:
            raise QueueFull("too much is being sent at once", hint="send it again in a moment", retry_after_s=1.0)
        self._body.held_bytes += size_bytes
        self._bytes += size_bytes

    def release(self) -> None:
        self._body.held_bytes -= self._bytes
        self._bytes = 0


def _hand_over(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body once, then whatever the server says: that the client is gone."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_next() -> Message:
        return waiting.pop() if waiting else await receive()

    return receive_next
