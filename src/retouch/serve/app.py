"""The application: the doors that every request passes, and the routes of all dialects behind them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from starlette.types import ASGIApp

from retouch import __version__
from retouch.serve import health
from retouch.serve.answers import answer_errors, render
from retouch.serve.body import BodyLimits
from retouch.serve.dialects import dialects
from retouch.serve.docs_page import docs_page
from retouch.serve.doors import Doors, behind_doors
from retouch.serve.entrance import Entrance
from retouch.serve.guards import LOOPBACK_HOSTS
from retouch.serve.keys import Keyring
from retouch.serve.page import page_routes, read_assets
from retouch.serve.service import Service

_PROBED = frozenset({"/health/live", "/health/ready", "/health", "/ping"})
"""What supervisors ask, who have no key."""


def build_app(service: Service, *, keyring: Keyring) -> tuple[ASGIApp, Entrance]:
    """Make the ASGI application over a service, and return it with the entrance that stands in it."""
    app = FastAPI(
        title="retouch",
        version=__version__,
        summary="Text-guided image inpainting: repaint exactly the masked part of a picture",
        docs_url=None,
        redoc_url=None,
        lifespan=_life_of(service),
        # Spans and durations go to whatever OpenTelemetry was set up; its log would quote what clients sent.
        telemetry={"logs": False, "operation_spans": False},
    )
    answer_errors(app)
    app.include_router(health.routes(service))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(docs_page(app.openapi()))

    assets = read_assets()
    app.include_router(page_routes(assets))
    for dialect in dialects():
        app.include_router(dialect.routes(service), tags=[dialect.name])
    work = [route for dialect in dialects() for route in dialect.work]
    entrance = Entrance(app, admission=service.admission, metrics=service.metrics, work=work)
    settings = service.settings
    doors = Doors(
        hosts={*LOOPBACK_HOSTS, settings.host, *settings.allowed_hosts},
        keyring=keyring,
        cors_origins=settings.cors_origins,
        is_open=_PROBED.union(assets).__contains__,  # a browser sends no key for a page and what it loads
        admit=entrance.admit,
        limits=BodyLimits(body_bytes=settings.body_bytes, total_s=settings.body_read_s),
        render=render,
        on_answer=service.metrics.answered,
    )
    return behind_doors(entrance, doors), entrance


def _life_of(service: Service) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        await service.open()
        yield
        if service.company.is_shared:  # nobody else sees to it that a replica's jobs have time to end
            await service.drained()
        await service.close()

    return life
