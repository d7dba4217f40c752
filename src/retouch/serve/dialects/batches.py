"""Batches in our own words: a table comes in, its rows are painted behind all requests, over restarts.

POST   /v1/batches                  a form with the table as `input`, or JSON with a `path`; answers 202
GET    /v1/batches                  the caller's own, newest first
GET    /v1/batches/{id}             rows by how they ended, rate, seconds left
GET    /v1/batches/{id}/results     the results so far, in the order of the input
GET    /v1/batches/{id}/files/{name}  a picture that the results name
DELETE /v1/batches/{id}             cancels what waits or runs; what is done stays
"""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse

from retouch.jobs.job import JobState
from retouch.jobs.store import PAGE_LIMIT
from retouch.serve.dialect import Dialect, plain_words
from retouch.serve.dialects.batches_body import BODY, batch_order_of
from retouch.serve.dialects.batches_views import ResultFormat, media_type_of, results_of
from retouch.serve.dialects.batches_views import view_of as batch_view_of
from retouch.serve.keys import caller_of
from retouch.serve.service import Service


def routes(service: Service) -> APIRouter:
    """Make the routes."""
    router = APIRouter()
    desk = service.batches
    view_of = partial(batch_view_of, root=service.root)

    @router.post("/v1/batches", summary="Repaint the rows of a table", openapi_extra={"requestBody": BODY})
    async def submit(request: Request, idempotency_key: Annotated[str | None, Header()] = None) -> Response:
        """Take a batch in: it is durable when the answer comes."""
        order = await batch_order_of(request, service)
        submission = await desk.submit(order, owner=caller_of(request.scope).id, key=idempotency_key)
        job = submission.job
        view = await view_of(job, desk)
        return JSONResponse(view, 202, {"location": view["url"]})

    @router.get("/v1/batches", summary="List batches")
    async def batches(
        request: Request,
        state: JobState | None = None,
        after: str | None = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = 20,
    ) -> dict[str, object]:
        page = await desk.page(caller_of(request.scope).id, state=state, after=after, limit=limit)
        return {"batches": [await view_of(job, desk) for job in page.jobs], "next_after": page.next_after}

    @router.get("/v1/batches/{batch_id}", summary="Show a batch")
    async def batch(request: Request, batch_id: str) -> dict[str, object]:
        return await view_of(await desk.get(caller_of(request.scope).id, batch_id), desk)

    @router.get("/v1/batches/{batch_id}/results", summary="The results of a batch", response_class=Response)
    async def results(request: Request, batch_id: str, format: ResultFormat = "jsonl") -> Response:
        """One line a row that ended, in the order of the input; also while the batch is under way."""
        job = await desk.get(caller_of(request.scope).id, batch_id)
        lines = await results_of(job, desk, format)
        return StreamingResponse(lines, media_type=media_type_of(format))

    @router.get(
        "/v1/batches/{batch_id}/files/{name:path}", summary="A picture of a batch", response_class=Response
    )
    async def file(request: Request, batch_id: str, name: str) -> Response:
        job = await desk.get(caller_of(request.scope).id, batch_id)
        path = await service.aside(desk.folder(job).picture, name)
        return FileResponse(path, media_type=media_type_of(path.suffix))

    @router.delete("/v1/batches/{batch_id}", summary="Cancel a batch")
    async def cancel(request: Request, batch_id: str) -> dict[str, object]:
        return await view_of(await desk.cancel(caller_of(request.scope).id, batch_id), desk)

    return router


DIALECT = Dialect(
    name="batches",
    prefixes=("/v1/batches",),
    work=frozenset({"POST /v1/batches"}),
    routes=routes,
    words=plain_words,
)
