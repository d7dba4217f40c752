"""The application: the layers that every request passes, and the routes of all dialects behind them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp

from retouch import __version__
from retouch.serve import health
from retouch.serve.answers import answer_errors
from retouch.serve.dialects import dialects
from retouch.serve.entrance import Entrance
from retouch.serve.service import Service


def build_app(service: Service) -> ASGIApp:
    """Make the ASGI application over a service.

    From the outside in: request id, log and metrics; foreign hosts and origins; keys; a place in the queue; the
    body's limits; the routes.
    """
    app = FastAPI(
        title="retouch",
        version=__version__,
        summary="Text-guided image inpainting: repaint exactly the masked part of a picture",
        docs_url=None,
        redoc_url=None,
        lifespan=_life_of(service),
    )
    answer_errors(app)
    app.include_router(health.routes(service))
    known = dialects()
    for dialect in known:
        app.include_router(dialect.routes(service), tags=[dialect.name])
    work = [route for dialect in known for route in dialect.work]
    return Entrance(app, admission=service.admission, metrics=service.metrics, work=work)


def _life_of(service: Service) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    return life
