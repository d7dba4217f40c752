"""The log of a server: a line of JSON for each record, and one record for each request.

What people sent is not in it: no prompt, no picture, no key, no query, no path but the route's template. A record
of an exception tells its class and the lines of code it went through, never its message, which may quote a
request.
"""

import json
import logging
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retouch.serve.keys import caller_of
from retouch.serve.request_ids import request_id_of

OnAnswer = Callable[[str, str, int, float], None]
NO_ROUTE: Final = "(none)"
MAX_MESSAGE_CHARS = 2_000
MAX_FRAMES = 12

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CLIENT_GONE = 499
_log = logging.getLogger("retouch.requests")


def route_template(scope: Scope) -> str:
    """Return the template of the route that a request was answered by: one of a fixed set, whatever was asked."""
    return str(getattr(scope.get("route"), "path", NO_ROUTE))


def known_method(scope: Scope) -> str:
    """Return the method, or `OTHER`: clients may invent methods."""
    return scope["method"] if scope["method"] in _METHODS else "OTHER"


class RequestLog:
    """Logs each request when its answer is done or given up.

    Args:
        app: what stands further in.
        clock: monotonic seconds.
        on_answer: is told the same: route, method, status and seconds.
    """

    def __init__(
        self, app: ASGIApp, *, clock: Callable[[], float] = time.monotonic, on_answer: OnAnswer | None = None
    ) -> None:
        self.app = app
        self.clock = clock
        self.on_answer = on_answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = _CLIENT_GONE
        began = self.clock()

        async def send_and_see(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_and_see)
        finally:
            seconds = self.clock() - began
            method, route = known_method(scope), route_template(scope)
            if self.on_answer is not None:
                self.on_answer(route, method, status, seconds)
            fields = {
                "method": method,
                "route": route,
                "status": status,
                "ms": round(seconds * 1_000, 1),
                "request_id": request_id_of(scope),
                "caller": caller_of(scope).id,
            }
            _log.info("request", extra={"fields": fields})


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON in ASCII: no character of it can begin a line or move a cursor."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage()[:MAX_MESSAGE_CHARS],
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = _where(record.exc_info[1])
        return json.dumps(line, ensure_ascii=True, default=str)


def write_logs(level: int = logging.INFO, *, stream: TextIO | None = None) -> None:
    """Send the log records of this process to one stream as lines of JSON: ours from `level`, others' warnings.

    Other libraries log addresses and headers at lower levels. The access log of uvicorn is silenced: it holds
    queries, and `RequestLog` takes its place.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for name in ("retouch", "uvicorn"):
        logging.getLogger(name).setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], name != "uvicorn.access"


def _where(error: BaseException) -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)[-MAX_FRAMES:]
    found: dict[str, Any] = {
        "class": type(error).__name__,
        "frames": [
            f"{frame.name} ({'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno})" for frame in frames
        ],
    }
    cause = error.__cause__ or error.__context__
    return found if cause is None else {**found, "cause": type(cause).__name__}
