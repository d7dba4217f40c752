"""Pictures fetched from an address that a client names, without lending it this server's place in the network.

The name must be on a list. It is resolved once, every address it resolves to must be public, and the connection
goes to the address that was checked, with the name only in TLS and in `Host`: a name that resolves to something
else a moment later gains nothing. A redirect is a new address, and passes all of it again. No proxy of the
environment is used, no cookie and no credential is sent.
"""

import asyncio
import ipaddress
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from urllib.parse import urljoin

import h11

from retouch.errors import BadInput, ImageTooLarge, RetouchError, UrlFailed, UrlRefused
from retouch.serve.addresses import Address, is_public

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Returns the addresses of a host and port, as text."""

_HTTPS_PORT = 443
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_INFORMATIONAL = 8
_MAX_URL_CHARS = 2_048
_MAX_HEAD_BYTES = 16 * 2**10
_READ_BYTES = 64 * 2**10
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}\.)*[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?")
"""A name in ASCII whose last label begins with a letter: no spelling of a number is one."""
_URL = re.compile(
    rf"https://(?P<host>{_HOST.pattern})(?::(?P<port>[0-9]{{1,5}}))?(?P<target>[/?][!-\"$-\[\]-~]*)?(?:#[!-~]*)?",
    re.IGNORECASE | re.ASCII,
)
"""No user, no address for a host, no backslash, no space, no control character."""


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """What fetching may cost.

    Attributes:
        size_bytes: the answer.
        total_s: names, connections, redirects and the answer, all together.
        redirects: followed at most.
        at_once: fetches that run at one time; further ones wait within their own time.
    """

    size_bytes: int = 16 * 2**20
    total_s: float = 10.0
    redirects: int = 3
    at_once: int = 8


DEFAULT_FETCH_LIMITS = FetchLimits()


@dataclass(frozen=True, slots=True)
class _Place:
    """A checked URL, in parts."""

    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        return self.host if self.port == _HTTPS_PORT else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"https://{self.authority}{self.target}"


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """A redirect's target, as it was written."""

    url: str


class Fetcher:
    """Fetches from hosts that the operator listed; from none by default.

    Args:
        hosts: `pictures.example.org`, `*.example.org` for all below it; `name:port` where it is not 443.
        limits: sizes and times.
        resolve: how names become addresses.
        is_allowed: which addresses may be called.
        context: TLS; by default the system's authorities.
    """

    def __init__(
        self,
        hosts: Collection[str] = (),
        *,
        limits: FetchLimits = DEFAULT_FETCH_LIMITS,
        resolve: Resolve | None = None,
        is_allowed: Callable[[Address], bool] = is_public,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.hosts = frozenset(_as_listed(host) for host in hosts)
        self.limits = limits
        self.resolve = resolve or _resolve
        self.is_allowed = is_allowed
        self.context = context or (ssl.create_default_context() if self.hosts else None)
        self._turn = asyncio.Semaphore(limits.at_once)

    async def fetch(self, url: str) -> bytes:
        """Return what an address gives.

        Raises:
            UrlRefused: it, or a place that it leads to, is not one to fetch from.
            UrlFailed: it gave nothing in time.
            ImageTooLarge: it gave more than the limit.
        """
        try:
            async with asyncio.timeout(self.limits.total_s), self._turn:
                return await self._follow(url)
        except RetouchError:
            raise
        except (TimeoutError, OSError, ssl.SSLError, h11.ProtocolError, ValueError) as error:
            # One message for all: which ports of which hosts answer, and how, is not for a client to learn.
            raise _failed() from error

    async def _follow(self, url: str) -> bytes:
        for _ in range(self.limits.redirects + 1):
            place = self._checked(url)
            address = await self._checked_address(place)
            answer = await self._get(place, address)
            if isinstance(answer, bytes):
                return answer
            url = urljoin(place.url, answer.url)
        raise UrlRefused("the address redirects too often")

    def _checked(self, url: str) -> _Place:
        parsed = _URL.fullmatch(url) if len(url) <= _MAX_URL_CHARS else None
        if parsed is None:
            raise UrlRefused(
                "the address cannot be used", hint="write https://, a host name and a path, all in ASCII"
            )
        host, port = parsed["host"].lower(), int(parsed["port"] or _HTTPS_PORT)
        listed = host if port == _HTTPS_PORT else f"{host}:{port}"
        if not self.hosts & {listed, *_wildcards(listed)}:
            raise UrlRefused("pictures are not fetched from that host", hint="send the picture itself")
        target = parsed["target"] or "/"
        return _Place(host, port, target if target.startswith("/") else f"/{target}")

    async def _checked_address(self, place: _Place) -> str:
        """Return the one address to call; one bad address among several condemns the name."""
        found = await self.resolve(place.host, place.port)
        if not found:
            raise _failed()
        if not all(self.is_allowed(ipaddress.ip_address(address)) for address in found):
            raise UrlRefused("pictures are not fetched from where that host is", hint="send the picture itself")
        return found[0]

    async def _get(self, place: _Place, address: str) -> bytes | _Elsewhere:
        reader, writer = await asyncio.open_connection(
            address, place.port, ssl=self.context, server_hostname=place.host
        )
        try:
            connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD_BYTES)
            writer.write(connection.send(_request(place)) or b"")
            writer.write(connection.send(h11.EndOfMessage()) or b"")
            return await self._read_answer(connection, reader)
        finally:
            writer.transport.abort()

    async def _read_answer(self, connection: h11.Connection, reader: asyncio.StreamReader) -> bytes | _Elsewhere:
        body = bytearray()
        informational = 0
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(_READ_BYTES))
            elif isinstance(event, h11.InformationalResponse):
                informational += 1
                if informational > _MAX_INFORMATIONAL:
                    raise _failed()
            elif isinstance(event, h11.Response):
                if (elsewhere := self._judge(event)) is not None:
                    return elsewhere
            elif isinstance(event, h11.Data):
                body += event.data
                self._check_size(len(body))
            elif isinstance(event, h11.EndOfMessage):
                return bytes(body)
            else:
                raise _failed()

    def _judge(self, response: h11.Response) -> _Elsewhere | None:
        """Return where a response leads on; None where its body is the picture. What type it claims is ignored."""
        headers = {name.lower(): value for name, value in response.headers}
        if response.status_code in _REDIRECTS and b"location" in headers:
            return _Elsewhere(headers[b"location"].decode("latin-1"))
        if response.status_code != 200 or headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise _failed()
        self._check_size(int(headers.get(b"content-length", b"0")))
        return None

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > self.limits.size_bytes:
            raise ImageTooLarge(f"the picture at that address is over {self.limits.size_bytes} bytes")


async def _resolve(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [str(address[0]) for *_, address in found]


def _request(place: _Place) -> h11.Request:
    return h11.Request(
        method="GET",
        target=place.target,
        headers=[
            ("Host", place.authority),
            ("User-Agent", "retouch"),
            ("Accept", "image/*"),
            ("Accept-Encoding", "identity"),
            ("Connection", "close"),
        ],
    )


def _wildcards(listed: str) -> list[str]:
    """Return the entries of a list that would stand for a name below them: `*.b.c`, `*.c` for `a.b.c`."""
    labels = listed.split(".")
    return [f"*.{'.'.join(labels[start:])}" for start in range(1, len(labels))]


def _as_listed(entry: str) -> str:
    spelled = entry.strip().lower().removesuffix(f":{_HTTPS_PORT}")
    name, _, port = spelled.removeprefix("*.").partition(":")
    if not _HOST.fullmatch(name) or not (port.isdigit() or ":" not in spelled):
        raise BadInput(f"{entry!r} cannot be fetched from", hint="write a name like pictures.example.org")
    if spelled.startswith("*.") and "." not in name:
        raise BadInput(f"{entry!r} would be everything below {name}", hint="name a domain of your own")
    return spelled


def _failed() -> UrlFailed:
    return UrlFailed("that address gave no picture within the limits", hint="send the picture itself")
