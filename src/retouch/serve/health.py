"""Health, metrics and the change of weights: what operators and supervisors ask."""

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from retouch.serve.service import Service


def routes(service: Service) -> APIRouter:
    """Make the routes of operations."""
    router = APIRouter(tags=["operations"])

    @router.get("/health/live", summary="Whether the process should go on living")
    async def live() -> JSONResponse:
        is_live = service.is_live
        return JSONResponse({"live": is_live}, 200 if is_live else 503)

    @router.get("/health/ready", summary="Whether new work is taken")
    async def ready() -> JSONResponse:
        """200 once the weights are checked and gave finite numbers, until the server is told to end."""
        is_ready = service.is_ready and service.is_live
        return JSONResponse({"ready": is_ready, **_state(service)}, 200 if is_ready else 503)

    @router.get("/metrics", summary="Metrics in Prometheus' form", response_class=Response)
    async def metrics() -> Response:
        body = await service.aside(service.company.metrics, service.metrics)
        return Response(body, media_type=CONTENT_TYPE_LATEST)

    @router.post("/v1/models/reload", summary="Load the model's files again")
    async def reload() -> dict[str, Any]:
        """Load beside what runs, then switch: running work ends on the old weights.

        A checkpoint that cannot be used changes nothing.
        """
        await service.reload()
        return _state(service)

    return router


def _state(service: Service) -> dict[str, Any]:
    return {
        "model": service.model_name,
        "devices": [str(one.bundle.device) for one in service.fleet.inpainters],
        "safety": service.settings.safety,
        "checks_pictures": service.settings.safety != "off",
    }
