"""What a proxy of Ray Serve says where the application does not answer."""

import asyncio
import json
from collections.abc import Sequence

import pytest
from starlette.types import Message, Receive, Scope, Send

from retouch.serve.replicas.proxy import InOurWords

Answer = tuple[int, dict[bytes, bytes], bytes]


def answer_of(told: list[Message], path: str = "/v1/inpaint", sent: Sequence[Message] = ()) -> Answer:
    """Let Ray's proxy read what was sent and say something behind ours; return what the client sees."""
    unread = list(sent)

    async def rays(scope: Scope, receive: Receive, send: Send) -> None:
        while unread:
            await receive()
        for message in told:
            await send(message)

    seen: list[Message] = []

    async def send(message: Message) -> None:
        seen.append(message)

    async def receive() -> Message:
        return unread.pop(0)

    scope: Scope = {"type": "http", "method": "POST", "path": path, "headers": [], "root_path": ""}
    asyncio.run(InOurWords(rays)(scope, receive, send))
    start, *bodies = seen
    return start["status"], dict(start["headers"]), b"".join(one["body"] for one in bodies)


def said(status: int, *headers: tuple[bytes, bytes], body: bytes = b"words") -> list[Message]:
    return [
        {"type": "http.response.start", "status": status, "headers": list(headers)},
        {"type": "http.response.body", "body": body},
    ]


def test_who_lost_a_replica_is_told_to_send_it_again() -> None:
    status, headers, body = answer_of([])
    assert status == 503
    assert headers[b"retry-after"] == b"1"
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert b"x-request-id" in headers
    assert json.loads(body)["error"]["code"] == "unavailable"
    assert int(headers[b"content-length"]) == len(body)


@pytest.mark.parametrize(
    ("rays", "status", "code"),
    [
        (404, 503, "draining"),
        (408, 504, "deadline_exceeded"),
        (503, 503, "unavailable"),
        (429, 503, "unavailable"),
        (500, 500, "internal"),
    ],
)
def test_what_ray_says_itself_is_said_in_our_words(rays: int, status: int, code: str) -> None:
    found, headers, body = answer_of(said(rays))
    assert (found, json.loads(body)["error"]["code"]) == (status, code)
    assert (b"retry-after" in headers) == (status == 503)


def test_a_dialects_clients_are_told_in_its_words() -> None:
    _, _, body = answer_of([], "/sdapi/v1/img2img")
    assert set(json.loads(body)) >= {"error", "detail", "body", "errors"}


def test_the_applications_answers_pass_with_one_id() -> None:
    mark, our_id = (b"x-content-type-options", b"nosniff"), (b"x-request-id", b"abc")
    status, headers, body = answer_of(said(404, mark, our_id, (b"X-Request-ID", b"abc"), body=b"ours"))
    assert (status, body) == (404, b"ours")
    assert [name.lower() for name in headers].count(b"x-request-id") == 1


PIECE: Message = {"type": "http.request", "body": b"{", "more_body": True}
END: Message = {"type": "http.request", "body": b"}", "more_body": False}
GONE: Message = {"type": "http.disconnect"}


@pytest.mark.parametrize(
    ("sent", "status"), [([PIECE, END], 503), ([END], 503), ([PIECE], 408), ([PIECE, GONE], 408)]
)
def test_a_body_that_a_replica_took_with_it_is_asked_for_again(sent: list[Message], status: int) -> None:
    slow = said(408, (b"x-content-type-options", b"nosniff"))
    found, headers, _ = answer_of(slow, sent=sent)
    assert found == status
    assert (b"retry-after" in headers) == (status == 503)


def test_rays_own_paths_are_its_own() -> None:
    assert answer_of(said(200, body=b"success"), "/-/healthz")[2] == b"success"
