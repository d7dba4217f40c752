"""Connections that do nothing, or too little, are cut; the others do not notice."""

import threading
import time

import pytest
from starlette.types import Receive, Scope, Send
from tests.serve.asgi import Echo, answer
from tests.serve.servers import connect, exchange, read_all, running

from retouch.serve.sockets import Sockets

HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
ASK = HEAD + b"Connection: close\r\n\r\n"


class Quick(Sockets):
    head_s = 0.3
    write_stall_s = 0.3


@pytest.mark.parametrize(
    "sent", [b"", b"GET", HEAD, HEAD + b"X: " + b"a" * 5_000], ids=["nothing", "verb", "head", "long"]
)
def test_a_connection_that_brings_no_whole_head_is_cut(sent: bytes) -> None:
    with running(Echo(), protocol=Quick) as port:
        assert exchange(port, sent) == b""


def test_a_head_that_comes_a_byte_at_a_time_is_cut_all_the_same() -> None:
    with running(Echo(), protocol=Quick) as port, connect(port) as connection:
        connection.settimeout(0.02)
        began = time.monotonic()
        sent = 0
        while time.monotonic() - began < 10:
            try:
                connection.sendall(ASK[sent % 40 : sent % 40 + 1])
                sent += 1
                if connection.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        assert time.monotonic() - began < 5


def test_a_second_head_on_a_kept_connection_has_its_time_limit_too() -> None:
    with running(Echo(), protocol=Quick, keep_alive_s=60) as port, connect(port) as connection:
        connection.sendall(HEAD + b"\r\n" + HEAD)
        assert read_all(connection).count(b"HTTP/1.1 200") == 1


def test_a_whole_head_stops_the_clock_and_a_slow_answer_is_given() -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        await answer(send, b"done")

    with running(slow, protocol=Quick) as port, connect(port) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nConnection: close\r\n\r\n")
        connection.settimeout(2 * Quick.head_s)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.sendall(b"abc")
        connection.settimeout(10)
        assert read_all(connection).endswith(b"done")


def test_a_client_that_does_not_read_is_cut_and_its_answer_let_go() -> None:
    is_cut = threading.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1_000):
            await send({"type": "http.response.body", "body": b"x" * 2**20, "more_body": True})
        assert (await receive())["type"] == "http.disconnect"
        is_cut.set()

    with running(endless, protocol=Quick) as port, connect(port) as connection:
        connection.sendall(ASK)
        assert is_cut.wait(10)


def test_a_client_that_reads_slowly_but_reads_gets_its_whole_answer() -> None:
    size = 4 * 2**20

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"x" * size)

    with running(large, protocol=Quick) as port, connect(port) as connection:
        connection.sendall(ASK)
        got = 0
        pause = 0.0
        while piece := connection.recv(65_536):
            got += len(piece)
            pause += 0.01
            time.sleep(0.01)  # a slow client's own pace
        assert pause > Quick.write_stall_s
        assert got > size
