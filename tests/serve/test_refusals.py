"""An error of the doors is one whole answer; a defect tells nobody anything."""

import asyncio
import json
import logging

import pytest
from starlette.types import Receive, Scope, Send
from tests.serve.asgi import HOST, Pieces, call, scope_of

from retouch.errors import Forbidden, QueueFull, RetouchError
from retouch.serve.refusals import Answer, Refusals

LONG = (b"content-length", b"1000")


class _Raises:
    """An application that raises, before or after its answer has begun."""

    def __init__(self, error: Exception, *, sent: int = 0) -> None:
        self.error, self.sent = error, sent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.sent > 0:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        if self.sent > 1:
            await send({"type": "http.response.body", "body": b"whole"})
        raise self.error


def test_an_error_is_said_with_its_status_code_hint_and_the_requests_id() -> None:
    scope = scope_of(state={"request_id": "r-1"})
    answered = call(Refusals(_Raises(Forbidden("no", hint="do this"))), scope)
    assert answered.status == 403
    said = {"code": "forbidden", "message": "no", "hint": "do this", "request_id": "r-1"}
    assert json.loads(answered.body) == {"error": said}
    assert answered.is_done


def test_a_dialect_may_say_it_in_its_own_words() -> None:
    def render(scope: Scope, error: RetouchError) -> Answer:
        return Answer(400, f"{scope['path']} {error.code}".encode(), [(b"content-type", b"text/plain")])

    answered = call(Refusals(_Raises(Forbidden("no")), render=render), scope_of(path="/v1/x"))
    assert (answered.status, answered.body) == (400, b"/v1/x forbidden")


@pytest.mark.parametrize(("seconds", "said"), [(0.0, b"1"), (0.2, b"1"), (7.01, b"8"), (None, None)])
def test_a_refusal_for_now_says_when_to_come_again(seconds: float | None, said: bytes | None) -> None:
    answered = call(Refusals(_Raises(QueueFull("full", retry_after_s=seconds))), scope_of())
    assert (answered.status, answered.header(b"retry-after")) == (429, said)


def test_a_defect_is_an_internal_error_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    answered = call(Refusals(_Raises(ValueError("a secret prompt"))), scope_of())
    assert (answered.status, answered.code) == (500, "internal")
    assert b"secret" not in answered.body
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "secret" not in caplog.records[0].getMessage()


def test_an_answer_that_had_begun_is_left_unfinished_so_that_the_server_drops_it() -> None:
    answered = call(Refusals(_Raises(ValueError("x"), sent=1)), scope_of())
    assert (answered.status, answered.is_done, answered.body) == (200, False, b"")


def test_a_defect_after_a_whole_answer_changes_nothing() -> None:
    answered = call(Refusals(_Raises(ValueError("x"), sent=2)), scope_of())
    assert (answered.status, answered.is_done, answered.body) == (200, True, b"whole")


def test_the_whole_answer_is_there_before_the_rest_of_the_body_is_thrown_away() -> None:
    body = Pieces([b"x" * 500, b"x" * 500])
    asked_at_answer = []

    async def run() -> None:
        async def send(message) -> None:  # type: ignore[no-untyped-def]
            if message["type"] == "http.response.body" and message["body"]:
                asked_at_answer.append(body.asked)

        await Refusals(_Raises(Forbidden("no")))(scope_of("POST", headers=[HOST, LONG]), body.receive, send)

    asyncio.run(run())
    assert (asked_at_answer, body.asked) == ([0], 2)


def test_an_endless_body_is_thrown_away_for_a_moment_only() -> None:
    class Endless(Pieces):
        async def receive(self):  # type: ignore[no-untyped-def]
            await asyncio.sleep(0)
            return {"type": "http.request", "body": b"x", "more_body": True}

    answered = call(
        Refusals(_Raises(Forbidden("no")), linger_s=0.05), scope_of("POST", headers=[HOST, LONG]), Endless()
    )
    assert (answered.status, answered.is_done, answered.header(b"connection")) == (403, True, b"close")


def test_a_client_that_waits_to_be_asked_for_its_body_is_not_asked() -> None:
    body = Pieces([b"x"])
    scope = scope_of("POST", headers=[HOST, LONG, (b"expect", b"100-continue")])
    assert call(Refusals(_Raises(Forbidden("no"))), scope, body).status == 403
    assert body.asked == 0


def test_a_refusal_of_a_request_without_a_body_keeps_the_connection() -> None:
    assert call(Refusals(_Raises(Forbidden("no"))), scope_of()).header(b"connection") is None
