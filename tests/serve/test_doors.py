"""The doors stand in an order: each is met before what it protects."""

import asyncio

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.types import Scope
from tests.serve.asgi import HOST, Echo, Pieces, call, scope_of

from retouch.errors import BadInput, QueueFull, RetouchError
from retouch.serve.doors import Doors, behind_doors
from retouch.serve.keys import Keyring
from retouch.serve.refusals import Answer

KEY = "a-key-of-sixteen-chars"
LONG = (b"content-length", b"1000")


def test_a_foreign_page_is_refused_before_keys_and_keys_before_admission_and_admission_before_the_body() -> None:
    asked: list[Scope] = []

    def admit(scope: Scope) -> RetouchError | None:
        asked.append(scope)
        return QueueFull("full")

    echo = Echo()
    app = behind_doors(echo, Doors(keyring=Keyring.from_text(f"alice:{KEY}"), admit=admit, linger_s=0.0))
    evil = (b"origin", b"https://evil.example")
    assert call(app, scope_of("POST", headers=[HOST, LONG, evil])).status == 403
    assert call(app, scope_of("POST", headers=[HOST, LONG, (b"api-key", b"wrong")])).status == 401
    assert asked == []
    assert call(app, scope_of("POST", headers=[HOST, LONG, (b"api-key", KEY.encode())])).status == 429
    assert asked[0]["state"]["caller"].id == "alice"
    assert echo.calls == 0


def test_each_refusal_carries_an_id_and_the_headers_of_every_answer() -> None:
    app = behind_doors(Echo(), Doors(keyring=Keyring.from_text(KEY)))
    for headers in ([], [HOST], [HOST, (b"origin", b"null")]):
        answered = call(app, scope_of("POST", headers=[*headers, (b"x-request-id", b"r-1")]))
        assert answered.status in (401, 403)
        assert answered.header(b"x-request-id") == b"r-1"
        assert answered.header(b"x-content-type-options") == b"nosniff"


def test_a_dialect_says_the_refusals_of_its_own_paths() -> None:
    def render(scope: Scope, error: RetouchError) -> Answer:
        return Answer(error.status, b'{"detail": "no"}', [(b"content-type", b"application/json")])

    answered = call(behind_doors(Echo(), Doors(render=render)), scope_of(headers=[]))
    assert (answered.status, answered.body) == (403, b'{"detail": "no"}')


@pytest.mark.parametrize("wrong", [{"cors_origins": ["https://a.example"]}, {"hosts": ["*"]}])
def test_what_only_a_key_makes_safe_is_refused_without_keys(wrong: dict[str, list[str]]) -> None:
    with pytest.raises(BadInput):
        Doors(**wrong)
    Doors(keyring=Keyring.from_text(KEY), **wrong)


def test_messages_that_are_no_requests_pass() -> None:
    seen: list[str] = []

    async def app(scope, receive, send):  # type: ignore[no-untyped-def]
        seen.append(scope["type"])

    asyncio.run(behind_doors(app, Doors())({"type": "lifespan"}, Pieces().receive, None))  # type: ignore[arg-type]
    assert seen == ["lifespan"]


def _api() -> FastAPI:
    app = FastAPI()

    @app.post("/score")
    async def score(request: Request) -> JSONResponse:
        return JSONResponse({"bytes": len(await request.body()), "caller": request.state.caller.id})

    @app.exception_handler(QueueFull)
    async def full(request: Request, error: QueueFull) -> JSONResponse:
        return JSONResponse({"own": error.code}, status_code=429)

    @app.get("/full")
    async def raises() -> None:
        raise QueueFull("full")

    return app


def test_a_handler_of_fastapi_gets_the_body_and_who_sent_it() -> None:
    app = behind_doors(_api(), Doors(keyring=Keyring.from_text(f"alice:{KEY}")))
    scope = scope_of("POST", "/score", [HOST, (b"api-key", KEY.encode()), (b"content-length", b"5")])
    answered = call(app, scope, Pieces([b"he", b"llo"]))
    assert answered.body == b'{"bytes":5,"caller":"alice"}'


def test_what_a_handler_answers_itself_is_left_as_it_is() -> None:
    answered = call(behind_doors(_api(), Doors()), scope_of("GET", "/full"))
    assert (answered.status, answered.body) == (429, b'{"own":"queue_full"}')
