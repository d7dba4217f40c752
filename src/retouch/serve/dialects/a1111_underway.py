"""What each caller has under way: `progress` shows it, `interrupt` ends it, and nobody else's.

A1111 knows one user and one work at a time. Here a key is a user; where there are no keys, an address is one, so
that all programs of a machine are the same user to a server of its own.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from retouch.errors import Cancelled
from retouch.serve.asking import payer_of
from retouch.serve.work import Work

_BEGUN = 0.01
"""A1111's own: what has begun is never at 0, which means that there is nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One work under way, and when it began."""

    work: Work
    begun: float = field(default_factory=time.monotonic)
    stamp: str = field(default_factory=lambda: time.strftime("%Y%m%d%H%M%S", time.gmtime()))


class Underway:
    """The book of it; for the event loop's thread."""

    def __init__(self) -> None:
        self._entries: dict[str, list[Entry]] = {}

    @contextmanager
    def entry(self, request: Request, work: Work) -> Iterator[Entry]:
        """Keep a work in the book, and give it up at the end, if it is not done by then."""
        entry, caller = Entry(work), _caller(request)
        own = self._entries.setdefault(caller, [])
        own.append(entry)
        try:
            yield entry
        finally:
            work.cancel()
            own.remove(entry)
            if not own:
                self._entries.pop(caller, None)

    def of(self, request: Request) -> tuple[Entry, ...]:
        """Return what the caller has under way, the oldest first."""
        return tuple(self._entries.get(_caller(request), ()))

    def interrupt(self, request: Request) -> None:
        """End all that the caller has under way."""
        for entry in self.of(request):
            entry.work.cancel(Cancelled("the work was interrupted"))


def state_of(entries: Sequence[Entry]) -> dict[str, Any]:
    """Return how far the oldest of some works is, as `GET /sdapi/v1/progress` tells it."""
    step = steps = 0
    done = eta_s = 0.0
    if entries:
        if (progress := entries[0].work.progress) is not None:
            step, steps = progress.step, progress.total
        done = max(_BEGUN, step / max(steps, 1))
        eta_s = (time.monotonic() - entries[0].begun) * (1 / done - 1)
    state = {
        "skipped": False,
        "interrupted": False,
        "stopping_generation": False,
        "job": "scripts_img2img" if entries else "",
        "job_count": len(entries),
        "job_timestamp": entries[0].stamp if entries else "0",
        "job_no": 0,
        "sampling_step": step,
        "sampling_steps": steps,
    }
    return {"progress": done, "eta_relative": eta_s, "state": state, "textinfo": None}


def _caller(request: Request) -> str:
    key = payer_of(request.scope)
    if key is not None:
        return f"key {key}"
    return f"address {request.client.host if request.client else ''}"
