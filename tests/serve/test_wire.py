"""The doors over real sockets: what is refused is answered, and what is slow holds nobody else up."""

import contextlib
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.serve.asgi import Echo
from tests.serve.servers import connect, exchange, read_all, running

from retouch.errors import QueueFull
from retouch.serve.body import BodyLimits
from retouch.serve.doors import Doors, behind_doors

LIMITS = BodyLimits(body_bytes=100_000, held_bytes=10**6, total_s=0.6, idle_s=0.4)
POST = b"POST /score HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"


def _status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def _doors(**more: object) -> object:
    return behind_doors(Echo(), Doors(limits=LIMITS, linger_s=0.2, **more))  # type: ignore[arg-type]


def test_a_request_passes_all_doors() -> None:
    with running(_doors()) as port:
        answer = exchange(port, POST + b"Content-Length: 5\r\n\r\nhello")
        assert _status(answer) == 200
        assert answer.endswith(b"hello")
        chunked = exchange(port, POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")
        assert chunked.endswith(b"hello")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (POST + b"Content-Length: 100001\r\n\r\n", 413),
        (POST + b"Content-Length: 99999999999999999999\r\n\r\n", 400),
        (POST + b"Content-Length: -1\r\n\r\n", 400),
        (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: gzip\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (POST + b"Host: evil.example\r\nContent-Length: 0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        (b"GET / HTTP/1.0\r\n\r\n", 403),
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 403),
        (b"GET http://localhost/score HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 403),
        (b"GET /" + b"a" * 200_000, 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 50_000, 400),
        (b"\x16\x03\x01\x02\x00\x01", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 403),
    ],
    ids=range(16),
)
def test_what_is_malformed_on_the_wire_is_answered_and_closed(sent: bytes, status: int) -> None:
    with running(_doors()) as port:
        assert _status(exchange(port, sent)) == status


def test_a_refused_client_that_sends_its_whole_body_first_still_reads_the_refusal() -> None:
    large = BodyLimits(body_bytes=10**6)
    with running(behind_doors(Echo(), Doors(limits=large))) as port:
        for body in (b"x" * 1_000_001, b"x" * 8_000_000):
            answer = exchange(port, POST + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            assert _status(answer) == 413


def test_a_full_server_refuses_before_the_body_is_sent() -> None:
    with (
        running(_doors(admit=lambda _: QueueFull("full", retry_after_s=3.0))) as port,
        connect(port) as connection,
    ):
        connection.sendall(POST + b"Content-Length: 1000\r\n\r\n")
        answer = connection.recv(65_536)
        assert _status(answer) == 429
        assert b"retry-after: 3\r\n" in answer


def test_a_client_that_asks_first_is_refused_without_being_asked_for_its_body() -> None:
    with running(_doors()) as port:
        answer = exchange(port, POST + b"Expect: 100-continue\r\nContent-Length: 100001\r\n\r\n")
        assert _status(answer) == 413
        asked = exchange(port, POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi")
        assert _status(asked) == 100
        assert asked.endswith(b"hi")


@pytest.mark.parametrize(
    "sent",
    [
        POST + b"Content-Length: 9\r\n\r\nhe",
        POST + b"Transfer-Encoding: chunked\r\n\r\n9\r\nhe",
        POST + b"Content-Length: 9\r\n\r\n",
    ],
    ids=["length", "chunked", "nothing"],
)
def test_a_body_that_stops_in_its_middle_is_timed_out(sent: bytes) -> None:
    with running(_doors()) as port:
        assert _status(exchange(port, sent)) == 408


def test_a_body_that_comes_a_byte_at_a_time_is_timed_out() -> None:
    with running(_doors()) as port, connect(port) as connection:
        connection.sendall(POST + b"Content-Length: 1000\r\n\r\n")
        assert _status(_trickle(connection)) == 408


def test_an_endless_chunked_body_is_refused_and_cut() -> None:
    with running(_doors()) as port, connect(port) as connection:
        connection.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
        began = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - began < 15:
                connection.sendall(chunk)
        assert time.monotonic() - began < 10
        assert _status(read_all(connection)) in (0, 413)  # a reset may outrun what was not read yet


def test_slow_and_idle_connections_hold_nobody_else_up() -> None:
    with running(_doors()) as port:
        idle = [connect(port) for _ in range(200)]
        for connection in idle[:100]:
            connection.sendall(POST + b"Content-Length: 9\r\n\r\nh")
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(_timed, port) for _ in range(100)]
            took = sorted(one.result() for one in asked)
        assert took[50] < 0.5
        for connection in idle:
            connection.close()


def _timed(port: int) -> float:
    began = time.monotonic()
    assert _status(exchange(port, POST + b"Content-Length: 2\r\n\r\nhi")) == 200
    return time.monotonic() - began


def _trickle(connection: socket.socket) -> bytes:
    """Send a byte every now and then until an answer comes."""
    connection.settimeout(0.02)
    began = time.monotonic()
    while time.monotonic() - began < 10:
        connection.sendall(b"x")
        with contextlib.suppress(TimeoutError):
            return connection.recv(65_536)
    return b""
