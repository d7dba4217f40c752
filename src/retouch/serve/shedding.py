"""Refusal at the socket: with a full queue, work is answered 429 before its request is even parsed.

A parsed and routed refusal costs a millisecond, and when hundreds of clients come at once each waits for all
before it. This one costs a small part of that. It says nothing that the doors would not, and whoever comes when
there is room goes through them.

Of hundreds that come in one moment all would be parsed before the first has taken its place. So for a moment a
place is kept for whoever went through and is about to take it.
"""

import asyncio
from collections import deque
from http import HTTPStatus
from typing import Any, cast

from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import RequestResponseCycle

from retouch.errors import RetouchError
from retouch.serve.answers import render
from retouch.serve.entrance import Entrance
from retouch.serve.scopes import notes
from retouch.serve.sockets import Sockets

LINGER_S = 5.0
"""How long what a refused client still sends is thrown away: closed at once, a connection resets its answer."""
KEPT_S = 0.1
"""How long a place is kept at most."""


def shedding(entrance: Entrance) -> type[asyncio.Protocol]:
    """Return the protocol of a connection, with this entrance's refusals before it."""
    return type("Shedding", (_Shedding,), {"entrance": entrance, "on_their_way": _OnTheirWay()})


class _OnTheirWay:
    """Requests that have come whole, and have neither a place nor an answer yet; slow bodies keep nobody out."""

    def __init__(self) -> None:
        self._since: deque[tuple[float, RequestResponseCycle]] = deque()

    def add(self, cycle: RequestResponseCycle, now: float) -> None:
        """Keep a place for a request."""
        self._since.append((now, cycle))

    def count(self, now: float) -> int:
        """Return for how many a place is kept."""
        while self._since and now - self._since[0][0] >= KEPT_S:
            self._since.popleft()
        return sum(not cycle.response_started and "lease" not in _noted(cycle) for _, cycle in self._since)


def _noted(cycle: RequestResponseCycle) -> dict[str, Any]:
    return notes(cast(Scope, cycle.scope))


class _Shedding(Sockets):
    entrance: Entrance
    on_their_way: _OnTheirWay
    _is_shed = False
    _is_coming = False
    """Whether this is work that was let through, and that has not come whole."""

    def data_received(self, data: bytes) -> None:
        """Refuse, or go on as uvicorn does."""
        if self._is_shed:
            return
        # Only the beginning of a request: what follows in a connection is for the parser to part.
        cycle: object = self.cycle  # None before the first request, whatever uvicorn's annotation says
        is_first = cycle is None and self.conn.trailing_data == (b"", False)
        scope = _scope_of(data) if is_first else None
        if scope is not None and self.entrance.is_work(scope):
            kept = self.on_their_way.count(self.loop.time())
            if (error := self.entrance.shed(scope, kept=kept)) is not None:
                self._refuse(scope, error)
                return
            self._is_coming = True
        super().data_received(data)
        if self._is_coming and self.cycle is not None and not self.cycle.more_body:
            self._is_coming = False
            self.on_their_way.add(self.cycle, self.loop.time())

    def _refuse(self, scope: Scope, error: RetouchError) -> None:
        self._is_shed = True
        self._unset_keepalive_if_required()
        self.transport.write(_answer(scope, error))
        self.loop.call_later(LINGER_S, self.transport.close)


def _scope_of(data: bytes) -> Scope | None:
    """Return what the beginning of a POST says of itself; None of anything else."""
    line, _, _ = data[:200].partition(b"\r\n")
    parts = line.split(b" ")
    if len(parts) != 3 or parts[0] != b"POST" or not parts[2].startswith(b"HTTP/1.") or not parts[1].isascii():
        return None
    return {"type": "http", "method": "POST", "path": parts[1].decode().partition("?")[0]}


def _answer(scope: Scope, error: RetouchError) -> bytes:
    rendered = render(scope, error)
    headers = [
        *rendered.headers,
        (b"content-length", str(len(rendered.body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"connection", b"close"),
    ]
    status = f"HTTP/1.1 {rendered.status} {HTTPStatus(rendered.status).phrase}\r\n".encode()
    return status + b"".join(name + b": " + value + b"\r\n" for name, value in headers) + b"\r\n" + rendered.body
