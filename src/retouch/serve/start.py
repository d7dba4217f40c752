"""From settings to a server: the composition root of `retouch serve`."""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from starlette.types import ASGIApp

from retouch.inpainter import Inpainter
from retouch.serve.admission import Admission, Bounds
from retouch.serve.app import build_app
from retouch.serve.fleet import Fleet
from retouch.serve.metrics import Metrics
from retouch.serve.service import Parts, Service
from retouch.serve.settings import ServeSettings

_MOST_HANDS = 8


def start(settings: ServeSettings, load: Callable[[], Sequence[Inpainter]]) -> tuple[Service, ASGIApp]:
    """Load and try the engines, and return the service and its application.

    Args:
        load: makes one engine a device; called again when the weights are loaded again.
    Raises:
        RetouchError: a setting is wrong, or the model cannot be used.
    """
    metrics, fleet = Metrics(), Fleet(load)
    bounds = Bounds(
        rows=settings.max_queued_rows,
        size_bytes=settings.max_queued_bytes,
        caller_rows=settings.per_key_rows,
        caller_per_minute=settings.per_key_per_minute,
    )
    admission = Admission(bounds, clock=time.monotonic)
    hands = ThreadPoolExecutor(min(_MOST_HANDS, os.cpu_count() or 1), thread_name_prefix="retouch-hands")
    service = Service(Parts(settings, fleet, admission, metrics, hands))
    metrics.watch(fleet, admission, is_ready=lambda: service.is_ready and service.is_live)
    return service, build_app(service)


def check(settings: ServeSettings) -> None:
    """Find out, without a model, whether a server would start with these settings.

    Raises:
        RetouchError: a setting is wrong.
    """
