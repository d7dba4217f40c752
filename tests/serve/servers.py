"""A real server on loopback, in a thread of its own, and raw sockets to talk to it."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from retouch.serve.sockets import Sockets

TIMEOUT_S = 20.0
BUFFER_BYTES = 64 * 2**10
"""Of the kernel, on either side: what does not fit waits in the server, where it is seen."""


def free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@contextlib.contextmanager
def running(app: ASGIApp, *, protocol: type[Sockets] = Sockets, keep_alive_s: int = 5) -> Iterator[int]:
    """Serve an application; yields the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    config = uvicorn.Config(
        app, http=protocol, log_config=None, access_log=False, lifespan="off", timeout_keep_alive=keep_alive_s
    )
    server = uvicorn.Server(config)
    started = threading.Event()
    startup = server.startup

    async def startup_and_tell(sockets: list[socket.socket] | None = None) -> None:
        await startup(sockets)
        started.set()

    server.startup = startup_and_tell  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    assert started.wait(TIMEOUT_S)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = server.force_exit = True
        thread.join(TIMEOUT_S)
        assert not thread.is_alive()


def connect(port: int) -> socket.socket:
    made = socket.socket()
    made.settimeout(TIMEOUT_S)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    made.connect(("127.0.0.1", port))
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def read_all(connection: socket.socket) -> bytes:
    """Read until the server ends the connection."""
    got = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65_536):
            got += piece
    return got


def exchange(port: int, sent: bytes) -> bytes:
    """Send bytes, and read all that comes back."""
    with connect(port) as connection:
        connection.sendall(sent)
        return read_all(connection)
