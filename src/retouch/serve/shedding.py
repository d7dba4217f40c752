"""Refusal at the socket: with a full queue, work is answered 429 before its request is even parsed.

A parsed and routed refusal costs a millisecond, and when hundreds of clients come at once each waits for all
before it. This one costs a small part of that. It says nothing that the doors would not, and whoever comes when
there is room goes through them.
"""

import asyncio
from http import HTTPStatus
from typing import Any

from retouch.errors import RetouchError
from retouch.serve.answers import render
from retouch.serve.entrance import Entrance
from retouch.serve.sockets import Sockets

LINGER_S = 2.0
"""How long what a refused client still sends is thrown away: closed at once, a connection resets its answer."""


def shedding(entrance: Entrance) -> type[asyncio.Protocol]:
    """Return the protocol of a connection, with this entrance's refusals before it."""
    return type("Shedding", (_Shedding,), {"entrance": entrance})


class _Shedding(Sockets):
    entrance: Entrance
    _is_shed = False

    def data_received(self, data: bytes) -> None:
        """Refuse, or go on as uvicorn does."""
        if self._is_shed:
            return
        # Only the beginning of a request: what follows in a connection is for the parser to part.
        cycle: object = self.cycle  # None before the first request, whatever uvicorn's annotation says
        is_first = cycle is None and self.conn.trailing_data == (b"", False)
        if is_first and (answer := refusal_of(data, self.entrance)) is not None:
            self._is_shed = True
            self._unset_keepalive_if_required()
            self.transport.write(answer)
            self.loop.call_later(LINGER_S, self.transport.close)
            return
        super().data_received(data)


def refusal_of(data: bytes, entrance: Entrance) -> bytes | None:
    """Return the whole answer to the beginning of a request that asks for work that there is no room for."""
    line, _, _ = data[:200].partition(b"\r\n")
    parts = line.split(b" ")
    if len(parts) != 3 or parts[0] != b"POST" or not parts[2].startswith(b"HTTP/1.") or not parts[1].isascii():
        return None
    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": parts[1].decode().partition("?")[0]}
    error = entrance.shed(scope)
    return None if error is None else _answer(scope, error)


def _answer(scope: dict[str, Any], error: RetouchError) -> bytes:
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
