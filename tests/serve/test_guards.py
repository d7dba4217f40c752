"""No page of another site, and no foreign host name, reaches a handler."""

import pytest
from starlette.types import Scope
from tests.serve.asgi import HOST, Echo, call, scope_of

from retouch.errors import BadInput
from retouch.serve.doors import Doors, behind_doors
from retouch.serve.guards import Guards
from retouch.serve.keys import Keyring
from retouch.serve.refusals import Refusals

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "FROB"]
PATHS = ["/", "/docs", "/score", "/v1/jobs/1", "/health/live", "/metrics", "/nowhere"]
CROSS = (b"sec-fetch-site", b"cross-site")
LINK = [HOST, CROSS, (b"sec-fetch-mode", b"navigate"), (b"sec-fetch-dest", b"document")]
APP_ORIGIN = b"https://app.example.org"


def _status(scope: Scope, **options: object) -> int:
    """Answer a request through the guards alone; the echo must be reached exactly where it is let through."""
    echo = Echo()
    answered = call(Refusals(Guards(echo, **options)), scope)  # type: ignore[arg-type]
    assert echo.calls == (answered.status == 200)
    return answered.status


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "headers",
    [
        [(b"host", b"evil.example")],
        [(b"host", b"evil.example:8000")],
        [HOST, (b"origin", b"https://evil.example")],
        [HOST, (b"origin", b"null")],
        [HOST, (b"origin", b"http://127.0.0.1:3000")],
        [HOST, (b"origin", b"http://localhost:8000")],
        [HOST, (b"sec-fetch-site", b"cross-site")],
        [HOST, (b"sec-fetch-site", b"same-site")],
        [HOST, (b"sec-fetch-site", b"cross-site"), (b"sec-fetch-mode", b"no-cors"), (b"sec-fetch-dest", b"image")],
        [
            HOST,
            (b"sec-fetch-site", b"cross-site"),
            (b"sec-fetch-mode", b"navigate"),
            (b"sec-fetch-dest", b"iframe"),
        ],
    ],
    ids=lambda headers: " ".join(value.decode() for _, value in headers),
)
def test_foreign_hosts_and_pages_are_refused_on_every_method_of_every_path(
    method: str, path: str, headers: list[tuple[bytes, bytes]]
) -> None:
    assert _status(scope_of(method, path, headers)) == 403


@pytest.mark.parametrize("method", METHODS)
def test_programs_and_the_servers_own_page_are_let_through(method: str) -> None:
    assert _status(scope_of(method, "/score")) == 200
    own = [HOST, (b"origin", b"http://127.0.0.1:8000"), (b"sec-fetch-site", b"same-origin")]
    assert _status(scope_of(method, "/score", own)) == 200


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8000", "[0:0:0:0:0:0:0:1]:80"],
)
def test_loopback_is_answered_in_every_spelling_of_browsers(host: str) -> None:
    assert _status(scope_of(headers=[(b"host", host.encode())])) == 200


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [HOST, HOST],
        [HOST, (b"host", b"evil.example")],
        *(
            [(b"host", host)]
            for host in (
                b"",
                b":8000",
                b"localhost:",
                b"localhost:99999",
                b"localhost:80:80",
                b"localhost@evil.example",
                b"evil.example@localhost",
                b"localhost evil.example",
                b"localhost/",
                b"localhost,evil.example",
                b"localhost.",
                b"localhost.evil.example",
                b"::1",
                b"[::1",
                b"[::1%lo]",
                b"[::ffff:127.0.0.1]",
                b"127.1",
                b"0.0.0.0",
                b"2130706433",
                b"loc\xe4lhost",
            )
        ),
    ],
    ids=lambda headers: repr([value for _, value in headers]),
)
def test_a_host_that_is_missing_double_or_misspelled_is_refused(headers: list[tuple[bytes, bytes]]) -> None:
    assert _status(scope_of(headers=headers)) == 403


def test_configured_hosts_take_the_place_of_loopback() -> None:
    hosts = ["Paint.example.org", "fd00::5", "10.0.0.7"]
    for host in (b"paint.example.org", b"paint.example.org:8443", b"[fd00:0::5]:80", b"10.0.0.7:8000"):
        assert _status(scope_of(headers=[(b"host", host)]), hosts=hosts) == 200
    assert _status(scope_of(), hosts=hosts) == 403


def test_a_star_answers_to_any_host_but_still_to_no_foreign_page() -> None:
    host = (b"host", b"10.9.8.7:8000")
    assert _status(scope_of(headers=[host]), hosts=["*"]) == 200
    assert _status(scope_of(headers=[host, (b"origin", b"https://evil.example")]), hosts=["*"]) == 403


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_link_on_another_site_may_open_a_page_but_no_data(path: str) -> None:
    assert _status(scope_of("GET", path, LINK)) == 200
    assert _status(scope_of("POST", path, LINK)) == 403
    assert _status(scope_of("GET", path, [*LINK, (b"origin", b"null")])) == 403
    assert _status(scope_of("GET", "/v1/jobs", LINK)) == 403


def test_the_page_is_known_by_the_routed_path_and_not_by_the_host_header() -> None:
    assert _status(scope_of("GET", "/api/", LINK, root_path="/api")) == 200
    assert _status(scope_of("GET", "/api/v1/jobs", LINK, root_path="/api")) == 403


def test_websockets_are_closed() -> None:
    echo = Echo()
    assert call(Guards(echo), {"type": "websocket", "headers": [HOST], "path": "/"}).status == 1008
    assert echo.calls == 0


def _cors_app(echo: Echo) -> object:
    doors = Doors(keyring=Keyring.from_text("k" * 20), cors_origins=["https://APP.example.org/"])
    return behind_doors(echo, doors)


def test_a_listed_origin_needs_a_key_and_is_told_that_it_may_read() -> None:
    foreign = [HOST, (b"origin", APP_ORIGIN), (b"sec-fetch-site", b"cross-site")]
    without = call(_cors_app(Echo()), scope_of("POST", "/score", foreign))
    assert (without.status, without.header(b"access-control-allow-origin")) == (401, APP_ORIGIN)
    with_key = call(_cors_app(Echo()), scope_of("POST", "/score", [*foreign, (b"api-key", b"k" * 20)]))
    assert (with_key.status, with_key.header(b"access-control-allow-origin")) == (200, APP_ORIGIN)
    assert with_key.header(b"access-control-allow-credentials") is None


def test_a_key_does_not_open_the_door_to_other_origins() -> None:
    foreign = [HOST, (b"origin", b"https://evil.example"), (b"api-key", b"k" * 20)]
    answered = call(_cors_app(Echo()), scope_of("POST", "/score", foreign))
    assert (answered.status, answered.header(b"access-control-allow-origin")) == (403, None)


def test_a_preflight_of_a_listed_origin_is_answered_without_a_key_and_without_the_handler() -> None:
    echo = Echo()
    asks = [HOST, (b"access-control-request-method", b"POST")]
    answered = call(_cors_app(echo), scope_of("OPTIONS", "/score", [*asks, (b"origin", APP_ORIGIN)]))
    assert (answered.status, answered.header(b"access-control-allow-origin"), echo.calls) == (204, APP_ORIGIN, 0)
    foreign = scope_of("OPTIONS", "/score", [*asks, (b"origin", b"https://evil.example")])
    assert call(_cors_app(echo), foreign).status == 403
    assert call(_cors_app(echo), scope_of("OPTIONS", "/score", asks)).status == 401


@pytest.mark.parametrize(
    "origin", ["*", "null", "app.example.org", "https://a.example/path", "https://u@a.example"]
)
def test_what_is_not_one_origin_cannot_be_listed(origin: str) -> None:
    with pytest.raises(BadInput):
        Guards(Echo(), cors_origins=[origin])


@pytest.mark.parametrize("host", ["", "https://a.example", "a.example/path", "a b"])
def test_what_is_not_one_host_cannot_be_listed(host: str) -> None:
    with pytest.raises(BadInput):
        Guards(Echo(), hosts=[host])
