"""Our own dialect: every field of a request, jobs that survive a restart, and events while they run.

GET    /v1/about               the model, its advice and its words, and what this server allows
POST   /v1/inpaint             a form or JSON; waits, or answers 202 with `Prefer: respond-async`
GET    /v1/jobs                the caller's own, newest first
GET    /v1/jobs/{id}           how far it is, and what came of it
GET    /v1/jobs/{id}/events    the same as server-sent events, with previews on request
GET    /v1/jobs/{id}/result/0  a picture; /mask the mask as it was composited
DELETE /v1/jobs/{id}           cancels what waits or runs
"""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from retouch.jobs.job import JobState
from retouch.jobs.store import PAGE_LIMIT
from retouch.serve.about import about
from retouch.serve.asking import lease_of, while_connected
from retouch.serve.dialect import Dialect, plain_words
from retouch.serve.dialects.native_body import BODY, order_of
from retouch.serve.dialects.native_events import events
from retouch.serve.dialects.native_views import answer_of, file_of, place_of, view_of
from retouch.serve.keys import caller_of
from retouch.serve.service import Service

_SSE = {"cache-control": "no-store", "x-accel-buffering": "no"}


def routes(service: Service) -> APIRouter:
    """Make the routes."""
    router = APIRouter()
    desk = service.desk

    @router.get("/v1/about", summary="The model and its advice, and what this server allows")
    async def told() -> dict[str, object]:
        """Defaults for requests that are silent, the words that a small model knows, the limits of a request."""
        return about(service)

    @router.post(
        "/v1/inpaint", summary="Repaint the masked part of a picture", openapi_extra={"requestBody": BODY}
    )
    async def inpaint(
        request: Request,
        prefer: Annotated[str, Header()] = "",
        accept: Annotated[str, Header()] = "",
        idempotency_key: Annotated[str | None, Header()] = None,
    ) -> Response:
        """Wait for the picture, or with `Prefer: respond-async` take the job and ask for it later.

        With `Accept: image/*` the answer is the first picture itself. With an `Idempotency-Key` the job goes on
        when its client leaves or `deadline_s` passes: the same request comes back to it.
        """
        order = await order_of(request, service)
        is_awaited = "respond-async" not in prefer.lower()
        submission = await desk.submit(
            order,
            owner=caller_of(request.scope).id,
            lease=lease_of(request),
            key=idempotency_key,
            is_awaited=is_awaited,
        )
        job = submission.job
        if not is_awaited:
            headers = {"location": place_of(job, service), "preference-applied": "respond-async"}
            return JSONResponse(view_of(job, desk, service), 202, headers)
        try:
            within_s = None if idempotency_key is None else service.settings.deadline_s
            await while_connected(request, desk.finished(job, within_s=within_s))
        finally:
            if idempotency_key is None:  # else somebody may come back for it
                desk.abandon(job.id)
        return await answer_of(await desk.get(job.owner, job.id), desk, service, accept=accept)

    @router.get("/v1/jobs", summary="List jobs")
    async def jobs(
        request: Request,
        state: JobState | None = None,
        after: str | None = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = 20,
    ) -> dict[str, object]:
        page = await desk.page(caller_of(request.scope).id, state=state, after=after, limit=limit)
        return {"jobs": [view_of(job, desk, service) for job in page.jobs], "next_after": page.next_after}

    @router.get("/v1/jobs/{job_id}", summary="Show a job")
    async def job(request: Request, job_id: str) -> dict[str, object]:
        return view_of(await desk.get(caller_of(request.scope).id, job_id), desk, service)

    @router.get("/v1/jobs/{job_id}/events", summary="Follow a job")
    async def follow(request: Request, job_id: str, previews: bool = False) -> StreamingResponse:
        """Server-sent events: `queued`, `step`, `preview`, then the state that the job ended in, with its view."""
        found = await desk.get(caller_of(request.scope).id, job_id)
        told = events(found, desk, service, with_previews=previews)
        return StreamingResponse(told, media_type="text/event-stream", headers=_SSE)

    @router.get("/v1/jobs/{job_id}/result/{index}", summary="A picture of a job's result", response_class=Response)
    async def result(request: Request, job_id: str, index: int) -> Response:
        return await file_of(caller_of(request.scope).id, job_id, f"result/{index}", desk)

    @router.get("/v1/jobs/{job_id}/mask", summary="The mask as it was composited", response_class=Response)
    async def mask(request: Request, job_id: str) -> Response:
        return await file_of(caller_of(request.scope).id, job_id, "mask", desk)

    @router.delete("/v1/jobs/{job_id}", summary="Cancel a job")
    async def cancel(request: Request, job_id: str) -> dict[str, object]:
        return view_of(await desk.cancel(caller_of(request.scope).id, job_id), desk, service)

    return router


DIALECT = Dialect(
    name="native",
    prefixes=("/v1/about", "/v1/inpaint", "/v1/jobs"),
    work=frozenset({"POST /v1/inpaint"}),
    routes=routes,
    words=plain_words,
)
