"""A name for each request: its client's own if it has one, and in every answer."""

import re
import secrets

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retouch.serve.scopes import header_values, notes

HEADER = b"x-request-id"
_SAFE = re.compile(r"[A-Za-z0-9._~-]{1,100}")


class RequestIds:
    """Gives each request an id, and its answer the header `X-Request-Id`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _chosen(header_values(scope, HEADER))
        notes(scope)["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                others = [(name, value) for name, value in message.get("headers", []) if name.lower() != HEADER]
                message = {**message, "headers": [*others, (HEADER, request_id.encode())]}
            await send(message)

        await self.app(scope, receive, send_with_id)


def request_id_of(scope: Scope) -> str:
    """Return the id of a request; `-` where it has none."""
    return str(notes(scope).get("request_id", "-"))


def _chosen(sent: list[str]) -> str:
    """Return the client's id where it is one that can stand in a log and in a header, else a new one."""
    return sent[0] if len(sent) == 1 and _SAFE.fullmatch(sent[0]) else secrets.token_hex(16)
