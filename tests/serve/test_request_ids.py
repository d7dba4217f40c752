"""Every answer names its request, by the client's own name for it where that is a safe one."""

import pytest
from tests.serve.asgi import HOST, Echo, call, scope_of

from retouch.serve.request_ids import RequestIds, request_id_of


def _sent(*headers: tuple[bytes, bytes]) -> tuple[str, bytes | None]:
    scope = scope_of(headers=[HOST, *headers])
    answered = call(RequestIds(Echo()), scope)
    return request_id_of(scope), answered.header(b"x-request-id")


@pytest.mark.parametrize("sent", [b"a", b"req_0123-ABC.x~y", b"f" * 100])
def test_a_clients_own_id_is_kept(sent: bytes) -> None:
    assert _sent((b"X-Request-Id", sent)) == (sent.decode(), sent)


@pytest.mark.parametrize(
    "sent", [b"", b"f" * 101, b"a b", b'a"b', b"a\nb", b"a,b", b"<b>", b"\xe4", b"a\x1b[31m", b"{}"]
)
def test_an_unsafe_id_is_replaced(sent: bytes) -> None:
    known, answered = _sent((b"x-request-id", sent))
    assert len(known) == 32
    assert answered == known.encode()


def test_two_ids_are_none() -> None:
    assert len(_sent((b"x-request-id", b"a"), (b"x-request-id", b"b"))[0]) == 32


def test_new_ids_differ() -> None:
    assert len({_sent()[0] for _ in range(100)}) == 100


def test_a_handler_cannot_answer_with_another_id() -> None:
    async def app(scope, receive, send):  # type: ignore[no-untyped-def]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"X-Request-Id", b"mine")]})
        await send({"type": "http.response.body", "body": b""})

    answered = call(RequestIds(app), scope_of(headers=[HOST, (b"x-request-id", b"theirs")]))
    assert [value for name, value in answered.headers if name.lower() == b"x-request-id"] == [b"theirs"]
