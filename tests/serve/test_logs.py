"""The log is one line of JSON for each record, and holds nothing of what people sent."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Request
from tests.serve.asgi import HOST, Pieces, call, scope_of

from retouch.serve.doors import Doors, behind_doors
from retouch.serve.keys import Keyring
from retouch.serve.logs import NO_ROUTE, JsonLines, RequestLog, write_logs

KEY = "a-key-of-sixteen-chars"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged while a test runs; the process's own logging comes back afterwards."""
    names = [None, "retouch", "uvicorn", "uvicorn.error", "uvicorn.access"]
    before = [(logging.getLogger(name), *_state(logging.getLogger(name))) for name in names]
    stream = io.StringIO()
    write_logs(stream=stream)
    yield stream
    for logger, handlers, level, propagate in before:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


def _state(logger: logging.Logger) -> tuple[list[logging.Handler], int, bool]:
    return logger.handlers, logger.level, logger.propagate


def _read(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().split("\n") if line]


def _app() -> FastAPI:
    app = FastAPI()
    router = APIRouter(prefix="/v1")

    @router.post("/jobs/{job_id}")
    async def job(job_id: str, request: Request) -> dict[str, int]:
        return {"bytes": len(await request.body())}

    @router.get("/broken")
    async def broken() -> None:
        raise ValueError("a secret prompt")

    app.include_router(router)
    return app


def test_a_request_is_one_record_of_fixed_fields(lines: io.StringIO) -> None:
    app = behind_doors(_app(), Doors(keyring=Keyring.from_text(f"alice:{KEY}")))
    scope = scope_of(
        "POST",
        "/v1/jobs/secret-id",
        [HOST, (b"api-key", KEY.encode()), (b"x-request-id", b"r-1"), (b"content-length", b"13")],
        query_string=b"prompt=secret-query",
    )
    assert call(app, scope, Pieces([b"secret-prompt"])).status == 200
    (record,) = _read(lines)
    assert record.pop("ms") >= 0
    assert record.pop("time").endswith("+00:00")
    assert record == {
        "level": "info",
        "logger": "retouch.requests",
        "event": "request",
        "method": "POST",
        "route": "/v1/jobs/{job_id}",
        "status": 200,
        "request_id": "r-1",
        "caller": "alice",
    }
    assert "secret" not in lines.getvalue()
    assert KEY not in lines.getvalue()


def test_a_defect_is_logged_with_its_place_and_without_its_text(lines: io.StringIO) -> None:
    answered = call(behind_doors(_app(), Doors()), scope_of("GET", "/v1/broken"))
    assert answered.status == 500
    assert "secret" not in lines.getvalue()
    error, request = _read(lines)
    assert error["error"]["class"] == "ValueError"
    assert any("test_logs.py" in frame and "broken" in frame for frame in error["error"]["frames"])
    assert (request["status"], request["route"]) == (500, "/v1/broken")


def test_refusals_are_logged_too(lines: io.StringIO) -> None:
    app = behind_doors(_app(), Doors(keyring=Keyring.from_text(KEY)))
    call(app, scope_of("POST", "/v1/jobs/1"))
    call(app, scope_of("GET", "/v1/broken", [(b"host", b"evil.example")]))
    assert [(record["status"], record["route"], record["caller"]) for record in _read(lines)] == [
        (401, NO_ROUTE, "anonymous"),
        (403, NO_ROUTE, "anonymous"),
    ]


def test_what_clients_invent_is_not_a_label(lines: io.StringIO) -> None:
    call(behind_doors(_app(), Doors()), scope_of("FROB\nSECRET", "/secret/path"))
    (record,) = _read(lines)
    assert (record["method"], record["route"]) == ("OTHER", NO_ROUTE)


def test_a_client_that_went_away_is_logged(lines: io.StringIO) -> None:
    body = Pieces([b"x"], is_whole=False, goes_away=True)
    call(behind_doors(_app(), Doors()), scope_of("POST", "/v1/jobs/1", [HOST, (b"content-length", b"5")]), body)
    (record,) = _read(lines)
    assert record["status"] == 499


def test_durations_come_from_the_clock_that_is_given(lines: io.StringIO) -> None:
    ticks = iter([10.0, 10.25])
    call(RequestLog(_app(), clock=lambda: next(ticks)), scope_of())
    assert _read(lines)[0]["ms"] == 250.0


@pytest.mark.parametrize(
    "text", ["a\nb", "a\r\n{}", "a\u2028b", "a\x85b", "a\x1b[31mb", "a\x00b", '"}\n{"level": "x"}', "\ud800"]
)
def test_no_text_can_forge_a_line(lines: io.StringIO, text: str) -> None:
    logging.getLogger("retouch.x").warning("said: %s", text, extra={"fields": {"field": text}})
    written = lines.getvalue()
    assert len(written.splitlines()) == 1
    assert written.isascii()
    assert all(char.isprintable() for char in written.rstrip("\n"))
    assert json.loads(written)["field"] == text


def test_a_long_text_is_cut() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "a" * 10_000, None, None)
    assert len(JsonLines().format(record)) < 3_000


def test_other_libraries_only_warn_and_uvicorn_logs_no_access(lines: io.StringIO) -> None:
    logging.getLogger("azure.core").info("https://secret.example?sig=secret")
    logging.getLogger("uvicorn.access").warning("GET /?prompt=secret")
    logging.getLogger("uvicorn.error").info("started")
    logging.getLogger("retouch.serve").info("ready")
    assert [record["event"] for record in _read(lines)] == ["started", "ready"]
