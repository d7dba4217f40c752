"""Headers that every answer carries: what a browser may do with it, and which pages may read it.

A page at an allowed origin may read answers (CORS); it never sends cookies, and it needs a key.
"""

from collections.abc import Collection

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retouch.serve.scopes import header_values

Headers = list[tuple[bytes, bytes]]

PAGE_POLICY = (
    b"default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'self';"
    b" frame-ancestors 'none'"
)
DATA_POLICY = b"default-src 'none'; frame-ancestors 'none'; sandbox"

_ALWAYS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_ONLY_HERE = {b"access-control-allow-origin", b"access-control-allow-credentials"}
_READABLE = b"content-length, location, retry-after, x-request-id"


class AnswerHeaders:
    """Adds the headers; what a handler set for caching stays, the rest is not a handler's to loosen."""

    def __init__(self, app: ASGIApp, *, cors_origins: Collection[str] = ()) -> None:
        self.app = app
        self.cors_origins = frozenset(cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        added = _ALWAYS + self._cors(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": _merged(list(message.get("headers", [])), added)}
            await send(message)

        await self.app(scope, receive, send_with_headers)

    def _cors(self, scope: Scope) -> Headers:
        if not self.cors_origins:
            return []
        vary = [(b"vary", b"Origin")]
        origins = header_values(scope, b"origin")
        if len(origins) != 1 or origins[0] not in self.cors_origins:
            return vary
        origin = origins[0].encode("latin-1")
        return [(b"access-control-allow-origin", origin), (b"access-control-expose-headers", _READABLE), *vary]


def _merged(theirs: Headers, ours: Headers) -> Headers:
    names = {name.lower() for name, _ in theirs}
    is_page = any(name.lower() == b"content-type" and value.startswith(b"text/html") for name, value in theirs)
    policy = (b"content-security-policy", PAGE_POLICY if is_page else DATA_POLICY)
    caching = [] if b"cache-control" in names else [(b"cache-control", b"no-store")]
    fixed = [*ours, policy]
    replaced = {name for name, _ in fixed} - {b"vary"} | _ONLY_HERE
    return [*((name, value) for name, value in theirs if name.lower() not in replaced), *fixed, *caching]
