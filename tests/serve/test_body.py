"""A body is bounded in bytes and seconds before anything parses it."""

import asyncio

import pytest
from starlette.types import Scope
from tests.serve.asgi import HOST, Answered, Echo, Pieces, call, scope_of

from retouch.errors import BodyTooLarge, QueueFull, RetouchError
from retouch.serve.body import Body, BodyLimits
from retouch.serve.refusals import Refusals

SMALL = BodyLimits(body_bytes=100, held_bytes=250, total_s=5.0, idle_s=5.0)


def _post(*headers: tuple[bytes, bytes]) -> Scope:
    return scope_of("POST", "/score", [HOST, *headers])


def _send(
    body: Pieces,
    *headers: tuple[bytes, bytes],
    limits: BodyLimits = SMALL,
    echo: Echo | None = None,
) -> Answered:
    app = Refusals(Body(echo or Echo(), limits=limits), linger_s=0.01)
    return call(app, _post(*headers), body)


def test_a_body_arrives_whole_in_one_piece() -> None:
    answered = _send(Pieces([b"ab", b"", b"cd"]), (b"transfer-encoding", b"chunked"))
    assert (answered.status, answered.body) == (200, b"abcd")


def test_a_body_at_the_limit_is_taken() -> None:
    assert _send(Pieces([b"x" * 100]), (b"content-length", b"100")).status == 200


def test_a_length_over_the_limit_is_refused_before_a_byte_is_read() -> None:
    body, echo = Pieces([b"x" * 101], goes_away=True), Echo()
    asked = []

    async def watch(scope, receive, send):  # type: ignore[no-untyped-def]
        async def receive_and_see():  # type: ignore[no-untyped-def]
            asked.append(True)
            return await receive()

        await Body(echo, limits=SMALL)(scope, receive_and_see, send)

    answered = call(Refusals(watch, linger_s=0.01), _post((b"content-length", b"101")), body)
    assert (answered.status, answered.code, asked, echo.calls) == (413, "body_too_large", [], 0)
    assert answered.header(b"connection") == b"close"


def test_a_chunked_body_is_counted() -> None:
    body, echo = Pieces([b"x" * 40] * 50), Echo()
    with pytest.raises(BodyTooLarge):
        call(Body(echo, limits=SMALL), _post((b"transfer-encoding", b"chunked")), body)
    assert (body.asked, echo.calls) == (3, 0)


def test_a_body_longer_than_it_said_is_counted() -> None:
    assert _send(Pieces([b"x" * 101]), (b"content-length", b"5")).status == 413


@pytest.mark.parametrize(
    "lengths",
    [
        [b"-1"],
        [b"+5"],
        [b"5, 5"],
        [b"0x5"],
        [b"5 5"],
        [b"1e2"],
        [b"\xb2"],
        [b""],
        [b"9" * 40],
        [b"5", b"5"],
        [b"5", b"6"],
    ],
)
def test_a_length_that_is_not_one_whole_number_is_malformed(lengths: list[bytes]) -> None:
    echo = Echo()
    answered = _send(Pieces([b"12345"]), *((b"content-length", length) for length in lengths), echo=echo)
    assert (answered.status, answered.code, echo.calls) == (400, "malformed_body", 0)


def test_a_body_of_two_framings_is_malformed() -> None:
    answered = _send(Pieces([b"12345"]), (b"content-length", b"5"), (b"transfer-encoding", b"chunked"))
    assert answered.status == 400


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"br", b"identity, gzip"])
def test_a_compressed_body_is_refused(coding: bytes) -> None:
    assert _send(Pieces([b"x"]), (b"content-length", b"1"), (b"content-encoding", coding)).status == 415


def test_a_client_that_falls_silent_is_refused() -> None:
    limits = BodyLimits(total_s=60.0, idle_s=0.02)
    echo = Echo()
    answered = _send(Pieces([b"x"], is_whole=False), (b"content-length", b"5"), limits=limits, echo=echo)
    assert (answered.status, answered.code, echo.calls) == (408, "body_timeout", 0)
    assert answered.header(b"connection") == b"close"


def test_a_client_that_sends_a_byte_now_and_then_is_refused_in_the_end() -> None:
    class Trickle(Pieces):
        async def receive(self):  # type: ignore[no-untyped-def]
            await asyncio.sleep(0)  # gives the loop its turn, as a socket would
            self.asked += 1
            return {"type": "http.request", "body": b"", "more_body": True}

    limits = BodyLimits(total_s=0.05, idle_s=60.0)
    assert _send(Trickle(), (b"content-length", b"5"), limits=limits).status == 408


@pytest.mark.parametrize(("sent", "status"), [(b"1234", 408), (b"12345", 200)])
def test_a_body_that_has_lost_its_beginning_is_not_taken_for_a_whole_one(sent: bytes, status: int) -> None:
    echo = Echo()
    assert _send(Pieces([sent]), (b"content-length", b"5"), echo=echo).status == status
    assert echo.calls == (status == 200)


def test_a_client_that_goes_away_is_not_heard_of() -> None:
    echo = Echo()
    answered = _send(Pieces([b"x"], is_whole=False, goes_away=True), (b"content-length", b"5"), echo=echo)
    assert (answered.status, echo.calls) == (0, 0)


def test_admission_is_asked_before_the_body_and_its_refusal_is_the_answer() -> None:
    seen: list[str] = []

    def admit(scope) -> RetouchError | None:  # type: ignore[no-untyped-def]
        seen.append(scope["path"])
        return QueueFull("full", retry_after_s=2.2)

    body, echo = Pieces([b"x" * 50]), Echo()
    app = Refusals(Body(echo, admit=admit, limits=SMALL), linger_s=0.0)
    answered = call(app, _post((b"content-length", b"50"), (b"expect", b"100-continue")), body)
    assert (answered.status, answered.header(b"retry-after"), body.asked, echo.calls) == (429, b"3", 0, 0)
    assert seen == ["/score"]


def test_all_bodies_together_are_bounded_and_given_back() -> None:
    echo = Echo()
    door = Body(echo, limits=SMALL)
    held: list[int] = []

    async def holding(scope, receive, send):  # type: ignore[no-untyped-def]
        held.append(door.held_bytes)
        if len(held) < 3:
            await door(_post((b"content-length", b"100")), Pieces([b"x" * 100]).receive, send)
        await echo(scope, receive, send)

    door.app = holding
    with pytest.raises(QueueFull) as refused:
        call(door, _post((b"content-length", b"100")), Pieces([b"x" * 100]))
    assert held == [100, 200]
    assert refused.value.retry_after_s is not None
    assert door.held_bytes == 0
    door.app = echo
    assert call(door, _post((b"content-length", b"100")), Pieces([b"x" * 100])).status == 200


def test_after_its_body_a_handler_still_hears_that_the_client_went_away() -> None:
    heard: list[str] = []

    async def app(scope, receive, send):  # type: ignore[no-untyped-def]
        heard.extend([(await receive())["type"], (await receive())["type"]])

    call(Body(app), _post((b"content-length", b"1")), Pieces([b"x"], goes_away=True))
    assert heard == ["http.request", "http.disconnect"]


def test_a_request_without_a_body_passes() -> None:
    assert _send(Pieces()).status == 200
