"""Drives an ASGI application without a server: one request as messages, one answer as a value."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOST = (b"host", b"127.0.0.1:8000")


@dataclass
class Answered:
    """What came back; `status` is 0 where nothing did."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    is_done: bool = False

    def header(self, name: bytes) -> bytes | None:
        found = [value for key, value in self.headers if key == name]
        assert len(found) < 2, f"{name!r} stands there {len(found)} times"
        return found[0] if found else None

    @property
    def code(self) -> str:
        return json.loads(self.body)["error"]["code"]


def scope_of(
    method: str = "GET", path: str = "/", headers: Iterable[tuple[bytes, bytes]] = (HOST,), **more: Any
) -> Scope:
    return {"type": "http", "method": method, "path": path, "query_string": b"", "headers": list(headers), **more}


@dataclass
class Pieces:
    """A body in pieces; counts how many were asked for. After the last, the client waits, or goes away."""

    pieces: list[bytes] = field(default_factory=list)
    is_whole: bool = True
    goes_away: bool = False
    asked: int = 0

    async def receive(self) -> Message:
        if self.asked < len(self.pieces) or (not self.pieces and self.is_whole and not self.asked):
            piece = self.pieces[self.asked] if self.pieces else b""
            self.asked += 1
            more = self.asked < len(self.pieces) or not self.is_whole
            return {"type": "http.request", "body": piece, "more_body": more}
        if not self.goes_away:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}


def call(app: ASGIApp, scope: Scope, body: Pieces | None = None) -> Answered:
    """Make one request."""
    answered = Answered()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answered.status, answered.headers = message["status"], list(message.get("headers", []))
        elif message["type"] == "http.response.body":
            answered.body += message.get("body", b"")
            answered.is_done = not message.get("more_body", False)
        else:
            answered.status = message["code"]

    asyncio.run(app(scope, (body or Pieces()).receive, send))
    return answered


async def answer(send: Send, body: bytes) -> None:
    """Send a whole answer."""
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Echo:
    """An application that answers with the body it was sent, and remembers being called."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.calls += 1
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        await answer(send, body)
