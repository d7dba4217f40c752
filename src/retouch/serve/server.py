"""The process: listens, drains when it is told to end, and leaves with exit code 0."""

import asyncio
import logging
import signal
import threading
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from retouch.errors import RetouchError
from retouch.serve.service import Service

log = logging.getLogger(__name__)

_LAST_ANSWERS_S = 5
"""What answers are given to reach their clients when the work is over."""


class Server(uvicorn.Server):
    """uvicorn's server that ends in two steps.

    The first SIGTERM or SIGINT stops new work, which is answered 503, and lets what runs go on for the grace time;
    then the rest is given up and the process ends. A second one ends it at once. SIGHUP loads the weights again.
    """

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self.service = service
        self._loop: asyncio.AbstractEventLoop
        self._ending: asyncio.Task[None] | None = None

    async def serve(self, sockets: list[Any] | None = None) -> None:
        """Listen until told to end."""
        self._loop = asyncio.get_running_loop()
        if hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread():
            self._loop.add_signal_handler(signal.SIGHUP, self._reload)
        await super().serve(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Begin to end; a second time end now."""
        # Not kept among uvicorn's captured signals: it would raise them again, and the exit code would be theirs.
        self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        if self._ending is None:
            self._ending = asyncio.create_task(self._drain(), name="retouch-drain")
            return
        self.service.interrupt()
        self.should_exit = self.force_exit = True

    async def _drain(self) -> None:
        """Let what runs end within the grace time, give up what is left, then stop listening."""
        await self.service.drained()
        self.should_exit = True

    def _reload(self) -> None:
        self._reloading = asyncio.create_task(self._reload_or_log(), name="retouch-reload")

    async def _reload_or_log(self) -> None:
        try:
            await self.service.reload()
            log.info("the model was loaded again")
        except RetouchError as error:
            log.error("the model was not loaded again: %s", error)


def server_of(app: ASGIApp, service: Service, *, http: type[asyncio.Protocol]) -> Server:
    """Return a server that listens as the settings say, once it is run."""
    settings = service.settings
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=http,  # over h11, whose buffer for headers is bounded
        ws="none",
        loop="asyncio",
        h11_max_incomplete_event_size=settings.header_bytes,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=_LAST_ANSWERS_S,
        limit_concurrency=settings.max_connections,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        access_log=False,
        log_config=None,
    )
    return Server(config, service)
