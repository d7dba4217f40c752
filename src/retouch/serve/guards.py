"""Who may talk to this server from a browser: the host it was called by, and the page that calls.

A server on loopback is reached from every page that its user has open. Two rules keep pages out, on every method
and every route. The `Host` header must name this server: a page that lets its own name resolve to 127.0.0.1 (DNS
rebinding) still sends its own name. And a request that a browser marks as another site's (`Origin`,
`Sec-Fetch-Site`) is refused, unless its origin is listed, when the key decides.

One kind of foreign request passes: a person who follows a link to a page of ours. It is a top-level `GET` of a
path that holds no data, and what it shows cannot be read or framed by the page that held the link.
"""

import ipaddress
import re
from collections.abc import Collection
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from retouch.errors import BadInput, Forbidden
from retouch.serve.scopes import header_values, routed_path

LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
ANY_HOST: Final = "*"

_AUTHORITY = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?")
_ORIGIN = re.compile(r"https?://(?P<authority>[^/?#@\\]+)")
_OWN_SITE = frozenset({"same-origin", "none"})
_PREFLIGHT = (
    (b"access-control-allow-methods", b"GET, POST, DELETE"),
    (b"access-control-allow-headers", b"authorization, *"),  # the star does not cover authorization
    (b"access-control-max-age", b"600"),
)


class Guards:
    """Refuses foreign hosts, pages of other sites, and websockets.

    Args:
        app: what stands further in.
        hosts: names and addresses this server answers to, without a port; `*` is any, which only keys make safe.
        cors_origins: origins (`https://app.example.org`) whose pages may call with a key.
        pages: paths that links from elsewhere may open.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Collection[str] = LOOPBACK_HOSTS,
        cors_origins: Collection[str] = (),
        pages: Collection[str] = ("/", "/docs"),
    ) -> None:
        self.app = app
        self.hosts = frozenset(_as_listed(host) for host in hosts)
        self.cors_origins = frozenset(check_origin(origin) for origin in cors_origins)
        self.pages = frozenset(pages)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] == "http":
            self.check(scope)
            if self._is_preflight(scope):
                await send({"type": "http.response.start", "status": 204, "headers": list(_PREFLIGHT)})
                await send({"type": "http.response.body", "body": b""})
                return
        await self.app(scope, receive, send)

    def check(self, scope: Scope) -> None:
        """Refuse a request that is not for this server, or that another site's page sends.

        Raises:
            Forbidden: it is.
        """
        authority = self._checked_host(header_values(scope, b"host"))
        origins = header_values(scope, b"origin")
        if len(origins) == 1 and origins[0] in self.cors_origins:
            return
        for origin in origins:
            parsed = _ORIGIN.fullmatch(origin.lower())
            if len(origins) > 1 or parsed is None or parsed["authority"] != authority:
                raise _foreign_page()
        is_own = _OWN_SITE.issuperset(header_values(scope, b"sec-fetch-site"))
        if not is_own and not self._is_link(scope):
            raise _foreign_page()

    def _checked_host(self, values: list[str]) -> str:
        authority = values[0].lower() if len(values) == 1 else ""
        if (host := _host_of(authority)) is None or not {host, ANY_HOST} & self.hosts:
            raise Forbidden(
                "this server does not answer to that host name",
                hint="call it by the address it listens on, or have the operator allow the name",
            )
        return authority

    def _is_link(self, scope: Scope) -> bool:
        return (
            scope["method"] == "GET"
            and routed_path(scope) in self.pages
            and header_values(scope, b"sec-fetch-mode") == ["navigate"]
            and header_values(scope, b"sec-fetch-dest") == ["document"]
        )

    def _is_preflight(self, scope: Scope) -> bool:
        asks = header_values(scope, b"access-control-request-method")
        return (
            scope["method"] == "OPTIONS"
            and bool(asks)
            and bool(self.cors_origins & {*header_values(scope, b"origin")})
        )


def check_origin(origin: str) -> str:
    """Return an origin as browsers spell it.

    Raises:
        BadInput: it is not scheme and host, or stands for more than one.
    """
    spelled = origin.strip().lower().rstrip("/")
    parsed = _ORIGIN.fullmatch(spelled)
    if parsed is None or _host_of(parsed["authority"]) is None:
        raise BadInput(
            f"{origin!r} is not an origin", hint="write it like https://app.example.org, without a path"
        )
    return spelled


def _foreign_page() -> Forbidden:
    return Forbidden(
        "requests from pages of other sites are refused",
        hint="call from a program, from this server's own page, or from an origin that the operator has allowed",
    )


def _as_listed(host: str) -> str:
    spelled = host.strip().lower()
    if spelled == ANY_HOST:
        return spelled
    found = _host_of(spelled if spelled.startswith("[") or spelled.count(":") < 2 else f"[{spelled}]")
    if found is None:
        raise BadInput(f"{host!r} is not a host name", hint="write a name or an address, without scheme or path")
    return found


def _host_of(authority: str) -> str | None:
    """Return the host of `host:port`, an IPv6 address in its one canonical spelling; None where it is no host."""
    parsed = _AUTHORITY.fullmatch(authority)
    if parsed is None or int(parsed["port"] or 0) > 65_535:
        return None
    if parsed["v6"] is None:
        return parsed["name"]
    try:
        return ipaddress.IPv6Address(parsed["v6"]).compressed
    except ValueError:
        return None
