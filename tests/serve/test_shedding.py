"""With a full queue, work is refused before it is parsed; everything else goes its way."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from tests.serve.serving import Served, served
from tests.serve.test_load import EDITS, FILES, form, open_request

from retouch.serve import shedding

LARGE = {"image": ("a.png", bytes(8 * 2**20))}


@pytest.fixture
def full(tiny: Served) -> Iterator[Served]:
    """The tiny server with every place taken."""
    admission = tiny.service.admission
    lease = admission.enter(None)
    lease.take(rows=admission.most_rows - admission.rows)
    yield tiny
    lease.release()


@pytest.mark.parametrize(
    ("path", "code"),
    [(EDITS, "rate_limit_exceeded"), ("/v1/inpaint", "queue_full"), ("/v1/inpaint?x=1", "queue_full")],
)
def test_work_is_refused_in_the_words_of_its_dialect(full: Served, path: str, code: str) -> None:
    answer = httpx.post(full.url + path, data=form(1), files=FILES)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["error"]["code"] == code


def test_who_is_still_sending_gets_the_whole_answer(full: Served) -> None:
    for _ in range(5):
        assert httpx.post(full.url + EDITS, data=form(1), files=LARGE).status_code == 429


def test_everything_else_goes_on(full: Served) -> None:
    with httpx.Client(base_url=full.url) as client:
        assert client.get("/health/ready").status_code == 200
        assert client.post("/v1/jobs").status_code == 405
        assert client.post(EDITS, data=form(1), files=FILES).status_code == 429  # of a connection that lives
        assert 'retouch_refusals_total{code="queue_full"}' in client.get("/metrics").text


def test_where_there_is_room_nobody_is_refused(tiny: Served) -> None:
    assert httpx.post(tiny.url + EDITS, data=form(1), files=FILES, timeout=60).status_code == 200


@pytest.mark.parametrize("sent", [b"POST\r\n\r\n", b"POST /v1/inpaint\r\n\r\n", b"\x16\x03\x01 x y\r\n\r\n", b"P"])
def test_what_is_no_request_is_the_parsers(full: Served, sent: bytes) -> None:
    host, port = full.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        assert not connection.recv(100).startswith(b"HTTP/1.1 429")


def test_who_drains_refuses_with_503(checkpoint: Path) -> None:
    with served(checkpoint, safety="off") as running:
        running.service.drain()
        answer = httpx.post(running.url + EDITS, data=form(1), files=FILES)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1


def test_of_many_at_once_no_more_are_parsed_than_there_is_room_for(
    tiny: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = shedding.Sockets.connection_made

    def late(self: shedding.Sockets, transport: asyncio.Transport) -> None:
        made(self, transport)
        monkeypatch.undo()
        time.sleep(0.5)  # until all have come

    monkeypatch.setattr(shedding.Sockets, "connection_made", late)
    admission, room = tiny.service.admission, 4
    with admission.enter(None) as lease, ExitStack() as connections:
        lease.take(rows=admission.most_rows - admission.rows - room)
        asked = [connections.enter_context(open_request(tiny.url, steps=1)) for _ in range(40)]
        answers = [connection.recv(4096) for connection in asked]
    assert sum(answer.startswith(b"HTTP/1.1 200") for answer in answers) == room
    # What came further in has an id.
    assert not any(b"x-request-id" in answer for answer in answers if answer.startswith(b"HTTP/1.1 429"))


def test_whoever_has_taken_a_place_is_counted_once(tiny: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retouch.serve.shedding.KEPT_S", 60.0)
    for _ in range(tiny.service.admission.most_rows + 1):
        assert httpx.post(tiny.url + EDITS, data=form(1), files=FILES, timeout=60).status_code == 200
