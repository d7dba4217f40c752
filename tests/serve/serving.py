"""A real server on loopback, for the tests of what clients meet."""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retouch.engine.settings import EngineSettings
from retouch.inpainter import Inpainter
from retouch.safety.checkers import ImageChecker
from retouch.serve.server import server_of
from retouch.serve.service import Service
from retouch.serve.settings import ServeSettings
from retouch.serve.shedding import shedding
from retouch.serve.start import assemble, check


@dataclass(frozen=True, slots=True)
class Served:
    """A running server: what it runs, and `http://127.0.0.1:port`."""

    service: Service
    url: str


def until(claim: Callable[[], bool], *, within_s: float = 20.0, every_s: float = 0.005) -> None:
    """Wait for something that other threads bring about."""
    deadline = time.monotonic() + within_s
    while not claim():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(every_s)


@contextmanager
def served(
    model: Path | None = None,
    *,
    checkers: Sequence[ImageChecker] | None = None,
    is_shared: bool = False,
    root: str = "",
    **settings: Any,
) -> Iterator[Served]:
    """Serve a checkpoint, or the embedded model, on a free port, with the given fields of `ServeSettings`.

    Args:
        is_shared, root: as for `assemble`.
    """
    folder = tempfile.TemporaryDirectory()
    chosen = ServeSettings(port=0, **({"jobs_folder": Path(folder.name)} | settings))

    def load() -> list[Inpainter]:
        engine = EngineSettings(rows_per_call=chosen.rows_per_call)
        return [Inpainter.load(model, settings=engine, limits=chosen.limits(), checkers=checkers)]

    built = assemble(chosen, load, keyring=check(chosen), is_shared=is_shared, root=root)
    server = server_of(built.app, built.service, http=shedding(built.entrance))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
        assert thread.is_alive(), "the server ended before it listened"
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Served(server.service, f"http://127.0.0.1:{port}")
    finally:
        server.should_exit = True
        thread.join(20)
        folder.cleanup()
        assert not thread.is_alive()
