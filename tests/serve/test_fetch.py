"""A picture is fetched from listed hosts at public addresses, or not at all."""

import asyncio
import contextlib
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.serve.test_addresses import FORBIDDEN

from retouch.errors import BadInput, ImageTooLarge, RetouchError, UrlFailed, UrlRefused
from retouch.serve.addresses import Address
from retouch.serve.fetch import Fetcher, FetchLimits

TLS = Path(__file__).parent / "tls"
NAME = "pictures.example.test"
QUICK = FetchLimits(size_bytes=10_000, total_s=5.0, redirects=3)


def _answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


PICTURE = _answer("200 OK", b"a picture", "Content-Type: text/html")


@dataclass
class Site:
    """A TLS server on loopback that answers each path with fixed bytes, and a DNS that names it."""

    answers: dict[str, bytes] = field(default_factory=dict)
    addresses: dict[str, list[list[str]]] = field(default_factory=dict)
    """Of a name: what each further question is answered with; the last one stays."""
    heard: list[bytes] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)
    handshakes: list[str | None] = field(default_factory=list)
    is_silent: bool = False
    port: int = 0

    async def resolve(self, host: str, port: int) -> list[str]:
        self.resolved.append(host)
        known = self.addresses.get(host, [["127.0.0.1"]])
        return known.pop(0) if len(known) > 1 else known[0]

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.heard.append(head)
            if not self.is_silent:
                writer.write(self.answers[head.split(b" ", 2)[1].decode()])
                await writer.drain()
            else:
                await reader.read()
        writer.close()

    def url(self, path: str = "/a.png", name: str = NAME) -> str:
        return f"https://{name}:{self.port}{path}"


@contextlib.asynccontextmanager
async def _serving(site: Site) -> AsyncIterator[Site]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "pictures.pem", TLS / "pictures.key")
    context.sni_callback = lambda _, name, __: site.handshakes.append(name)
    server = await asyncio.start_server(site.handle, "127.0.0.1", 0, ssl=context)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()


def _loopback(address: Address) -> bool:
    return address == ipaddress.ip_address("127.0.0.1")


def _fetcher(
    site: Site, hosts: Sequence[str] = (NAME, "*.wide.example.test"), limits: FetchLimits = QUICK
) -> Fetcher:
    return Fetcher(
        [f"{host}:{site.port}" for host in hosts],
        limits=limits,
        resolve=site.resolve,
        is_allowed=_loopback,
        context=ssl.create_default_context(cafile=str(TLS / "pictures.pem")),
    )


def _run(site: Site, ask: Callable[[Site], Awaitable[bytes]]) -> bytes:
    async def run() -> bytes:
        async with _serving(site):
            return await ask(site)

    return asyncio.run(run())


def _fetch(site: Site, path: str = "/a.png", *, name: str = NAME, **more: Any) -> bytes:
    return _run(site, lambda served: _fetcher(served, **more).fetch(served.url(path, name)))


def test_a_picture_is_fetched_whatever_type_it_claims() -> None:
    site = Site({"/a.png?sig=1%2F": PICTURE})
    assert _fetch(site, "/a.png?sig=1%2F") == b"a picture"
    assert site.handshakes == [NAME]
    (head,) = site.heard
    assert f"host: {NAME}:{site.port}".encode() in head.lower()
    assert b"cookie" not in head.lower()
    assert b"authorization" not in head.lower()


def test_a_name_below_a_wildcard_is_fetched() -> None:
    assert _fetch(Site({"/a.png": PICTURE}), name="a.wide.example.test") == b"a picture"


def test_nothing_is_fetched_by_default() -> None:
    with pytest.raises(UrlRefused):
        asyncio.run(Fetcher().fetch("https://pictures.example.org/a.png"))


@pytest.mark.parametrize("address", FORBIDDEN)
def test_a_listed_name_at_a_forbidden_address_is_not_called(address: str) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["1.1.1.1", address]

    with pytest.raises(UrlRefused):
        asyncio.run(Fetcher([NAME], resolve=resolve).fetch(f"https://{NAME}/"))


SPELLINGS = [
    *("http://", "file:///etc/passwd", "ftp://", "gopher://", "data:image/png;base64,AAAA", "//", "https:/"),
    *("127.0.0.1", "localhost", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1"),
    *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[64:ff9b::7f00:1]"),
    *(
        "[fe80::1%25lo]",
        "0",
        "0.0.0.0",
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "017700000001",
        "127.0.0.1.",
    ),
    *(f"{NAME}.", f"{NAME}.evil.example", f"evil-{NAME}", f"x.{NAME}", f"user@{NAME}", f"user:key@{NAME}"),
    *(f"{NAME}@127.0.0.1", f"{NAME}\\@127.0.0.1", f"127.0.0.1\\.{NAME}", f"{NAME}%2e", f"{NAME}%00", f"{NAME} "),
    *(f" {NAME}", f"{NAME}\t", f"{NAME}\r\nX: y", "①②⑦.⓪.⓪.①", "ｐictures.example.test"),
    *(f"{NAME}:80", f"{NAME}:22", f"{NAME}:99999", f"{NAME}:", f"{NAME}:0x1bb"),
    *(
        "localhost.localdomain",
        "wide.example.test",
        "a.b_c.wide.example.test",
        "-a.wide.example.test",
        "..",
        "a..b",
        "",
    ),
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_spelling_leads_past_the_list_of_hosts(spelling: str) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        raise AssertionError(f"{host} was resolved")

    is_whole = spelling.startswith(("http", "file", "ftp", "gopher", "data", "//"))
    url = spelling if is_whole else f"https://{spelling}/a.png"
    with pytest.raises(UrlRefused):
        asyncio.run(Fetcher([NAME, "*.wide.example.test"], resolve=resolve).fetch(url))


@pytest.mark.parametrize("path", ["/a b", "/a\r\nX: y", "/\x00", "/ä", "/a\\b", "/" + "a" * 3_000, "a"])
def test_a_path_that_could_break_a_request_is_refused(path: str) -> None:
    with pytest.raises(UrlRefused):
        asyncio.run(Fetcher([NAME]).fetch(f"https://{NAME}{path}"))


@pytest.mark.parametrize(
    "entry", ["*", "*.", "*.org", "127.0.0.1", "[::1]", "https://a.example", "a.example/x", "", "2130706433"]
)
def test_a_list_of_everything_or_of_addresses_is_a_wrong_setting(entry: str) -> None:
    with pytest.raises(BadInput):
        Fetcher([entry])


def test_a_name_is_resolved_once_and_the_address_that_was_checked_is_called() -> None:
    site = Site({"/a.png": PICTURE}, addresses={NAME: [["127.0.0.1"], ["10.0.0.1"]]})
    assert _fetch(site) == b"a picture"
    assert site.resolved == [NAME]


def test_a_name_that_moves_between_redirects_is_checked_again() -> None:
    site = Site({"/a.png": _answer("302 Found", b"", "Location: /b.png"), "/b.png": PICTURE})
    site.addresses = {NAME: [["127.0.0.1"], ["10.0.0.1"]]}
    with pytest.raises(UrlRefused):
        _fetch(site)
    assert len(site.heard) == 1


@pytest.mark.parametrize("status", ["301 x", "302 x", "303 x", "307 x", "308 x"])
def test_redirects_within_the_list_are_followed(status: str) -> None:
    site = Site({"/a.png": _answer(status, b"", "Location: b.png?x=1#y"), "/b.png?x=1": PICTURE})
    assert _fetch(site) == b"a picture"


@pytest.mark.parametrize(
    "location",
    [
        *("https://evil.example/", "http://pictures.example.test/", "//127.0.0.1/", "https://127.0.0.1/", "//["),
        *("file:///etc/passwd", "\xe4", "https://pictures.example.test/", "https:///", "https://2130706433/"),
    ],
)
def test_a_redirect_out_of_the_list_is_refused(location: str) -> None:
    with pytest.raises((UrlRefused, UrlFailed)):
        _fetch(Site({"/a.png": _answer("302 Found", b"", f"Location: {location}")}))


def test_redirects_have_an_end() -> None:
    site = Site({"/a.png": _answer("302 Found", b"", "Location: /a.png")})
    with pytest.raises(UrlRefused):
        _fetch(site)
    assert len(site.heard) == QUICK.redirects + 1


def test_a_certificate_of_another_name_is_refused() -> None:
    with pytest.raises(UrlFailed):
        _fetch(Site({"/a.png": PICTURE}), name="other.example.test", hosts=["other.example.test"])


def test_a_certificate_of_an_unknown_authority_is_refused() -> None:
    async def ask(site: Site) -> bytes:
        fetcher = Fetcher([f"{NAME}:{site.port}"], resolve=site.resolve, is_allowed=_loopback)
        return await fetcher.fetch(site.url())

    with pytest.raises(UrlFailed):
        _run(Site({"/a.png": PICTURE}), ask)


@pytest.mark.parametrize(
    "answer",
    [
        _answer("200 OK", b"x" * 10_001),
        b"HTTP/1.1 200 OK\r\nContent-Length: 10001\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 20_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"400\r\n" + b"x" * 1024 + b"\r\n" * 1,
    ],
    ids=["length", "claimed", "unframed", "chunked"],
)
def test_an_answer_over_the_limit_is_broken_off(answer: bytes) -> None:
    if b"chunked" in answer:
        head, _, chunk = answer.partition(b"\r\n\r\n")
        answer = head + b"\r\n\r\n" + chunk * 12
    with pytest.raises(ImageTooLarge):
        _fetch(Site({"/a.png": answer}))


@pytest.mark.parametrize(
    "answer",
    [
        _answer("404 Not Found", b"no"),
        _answer("204 No Content"),
        _answer("206 Partial", b"x"),
        _answer("302 Found"),
        _answer("200 OK", b"x", "Content-Encoding: gzip"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000,
        b"HTTP/1.1 103 Early\r\n\r\n" * 50 + PICTURE,
        b"hello",
        b"",
    ],
    ids=range(11),
)
def test_an_answer_that_is_none_is_a_failure_that_tells_nothing(answer: bytes) -> None:
    with pytest.raises(UrlFailed) as failed:
        _fetch(Site({"/a.png?sig=secret": answer}), "/a.png?sig=secret")
    assert str(failed.value) == "that address gave no picture within the limits"


def test_a_silent_host_is_given_up_in_time() -> None:
    with pytest.raises(UrlFailed):
        _fetch(Site(is_silent=True), limits=FetchLimits(total_s=0.3))


def test_a_host_that_is_not_there_is_the_same_failure() -> None:
    async def ask(site: Site) -> bytes:
        fetcher = Fetcher([f"{NAME}:1"], resolve=site.resolve, is_allowed=_loopback)
        return await fetcher.fetch(f"https://{NAME}:1/")

    with pytest.raises(UrlFailed, match="gave no picture"):
        _run(Site(), ask)


def test_a_name_without_an_address_is_the_same_failure() -> None:
    with pytest.raises(UrlFailed, match="gave no picture"):
        _fetch(Site(addresses={NAME: [[]]}))


def test_fetches_at_one_time_are_bounded() -> None:
    most = running = 0

    async def resolve(host: str, port: int) -> list[str]:
        nonlocal most, running
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return []

    async def run() -> list[BaseException | bytes]:
        fetcher = Fetcher([NAME], limits=FetchLimits(at_once=2), resolve=resolve)
        return await asyncio.gather(*(fetcher.fetch(f"https://{NAME}/") for _ in range(9)), return_exceptions=True)

    assert all(isinstance(end, RetouchError) for end in asyncio.run(run()))
    assert most == 2
