"""Azure ML's batch endpoint: `POST /jobs` with where the input is, then its state until it is completed.

POST /jobs                                             {"properties": {"InputData": {...}}}; answers 201
GET  /jobs, /jobs/{id}                                 with `properties.status`
GET  /jobs/{id}/named-outputs/score/predictions.csv    as the endpoint of this model writes it
POST /jobs/{id}/cancel

The path on a datastore is a path below this server's `--batch-root`, whatever the datastore is called.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from retouch.errors import InvalidField, RetouchError
from retouch.jobs.job import Job, JobState
from retouch.serve.asking import json_of
from retouch.serve.batches.order import BatchOrder
from retouch.serve.dialect import Dialect, Words
from retouch.serve.dialects.batches_body import batch_order
from retouch.serve.dialects.batches_views import media_type_of, results_of
from retouch.serve.dialects.native_body import value_of
from retouch.serve.keys import caller_of
from retouch.serve.service import Service

_DATASTORE = re.compile(r"azureml://(?:[^?#]*/)?datastores/[A-Za-z0-9_-]+/paths/(?P<path>[^?#]+)")
_STATUSES: Mapping[JobState, str] = {
    JobState.QUEUED: "Queued",
    JobState.RUNNING: "Running",
    JobState.DONE: "Completed",
    JobState.CANCELLED: "Canceled",
}
_HARMLESS = frozenset(
    {
        *("name", "displayname", "description", "experimentname", "tags", "properties", "compute", "logginglevel"),
        *("minibatchsize", "retrysettings", "maxconcurrencyperinstance", "resources", "outputaction"),
    }
)
"""Settings of a deployment that a job may change there, and that change no result."""
_OUTPUT_FILE = "predictions.csv"
_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": {"type": "object", "properties": {"properties": {"type": "object"}}}}
    },
}


def routes(service: Service) -> APIRouter:
    """Make the routes."""
    router = APIRouter()
    desk = service.batches

    @router.post("/jobs", summary="Begin a batch job (Azure ML)", openapi_extra={"requestBody": _BODY})
    async def create(request: Request, idempotency_key: Annotated[str | None, Header()] = None) -> Response:
        """Take a job in."""
        order = order_of(await json_of(request, service), service)
        submission = await desk.submit(order, owner=caller_of(request.scope).id, key=idempotency_key)
        return JSONResponse(view_of(submission.job), 201, {"location": f"{service.root}/jobs/{submission.job.id}"})

    @router.get("/jobs", summary="List batch jobs (Azure ML)")
    async def jobs(request: Request) -> dict[str, Any]:
        page = await desk.page(caller_of(request.scope).id, state=None, after=None, limit=100)
        return {"value": [view_of(job) for job in page.jobs]}

    @router.get("/jobs/{job_id}", summary="Show a batch job (Azure ML)")
    async def job(request: Request, job_id: str) -> dict[str, Any]:
        return view_of(await desk.get(caller_of(request.scope).id, job_id))

    @router.get(f"/jobs/{{job_id}}/named-outputs/score/{_OUTPUT_FILE}", response_class=Response)
    async def output(request: Request, job_id: str) -> Response:
        """The rows that ended so far."""
        found = await desk.get(caller_of(request.scope).id, job_id)
        return StreamingResponse(await results_of(found, desk, "azure"), media_type=media_type_of("azure"))

    @router.post("/jobs/{job_id}/cancel", summary="Cancel a batch job (Azure ML)")
    async def cancel(request: Request, job_id: str) -> dict[str, Any]:
        return view_of(await desk.cancel(caller_of(request.scope).id, job_id))

    return router


def order_of(body: Mapping[str, Any], service: Service) -> BatchOrder:
    """Make an order of a body; names are read in any case, as the service does.

    Raises:
        InvalidField: the input is none, or the output is wanted somewhere.
    """
    properties = _lowered(body.get("properties"), "properties")
    told: dict[str, Any] = {}
    for name, value in properties.items():
        match name:
            case "inputdata":
                told |= _inputs(value)
            case "dataset":  # as the first version of the API has it
                told["path"] = _path(_lowered(value, "dataset").get("path"))
            case "errorthreshold":
                told |= {} if value in (-1, "-1") else {"max_failures": _whole(value)}
            case "outputfilename" if value == _OUTPUT_FILE:
                pass
            case "outputdata" | "outputdataset" | "outputfilename":
                raise InvalidField(name, "results stay on this server", hint=f"they are {_OUTPUT_FILE} of the job")
            case _ if name not in _HARMLESS:
                raise InvalidField(f"properties.{name[:60]}", "is not known")
    return batch_order(told, None, None, service)


def view_of(job: Job) -> dict[str, Any]:
    """Return a job as Azure's clients read it."""
    view: dict[str, Any] = {
        "id": f"/jobs/{job.id}",
        "name": job.id,
        "properties": {
            "name": job.id,
            "status": _STATUSES.get(job.state, "Failed"),
            "provisioningState": "Succeeded",
            "outputFileName": _OUTPUT_FILE,
        },
        "systemData": {"createdAt": job.created_at.isoformat()},
    }
    if job.error is not None:
        view["error"] = {"code": job.error.code, "message": job.error.message}
    return view


def words(error: RetouchError) -> Words:
    """Word an error as Azure's services do: a fault of content is 400."""
    message = f"{error} ({error.hint})" if error.hint else str(error)
    return Words(400 if error.status == 422 else error.status, {"error": {"code": error.code, "message": message}})


def _inputs(value: object) -> dict[str, Any]:
    """Read `InputData`: one folder or file, and literals that are fields of a request for all rows."""
    told: dict[str, Any] = {}
    if not isinstance(value, dict):
        raise InvalidField("InputData", "must be an object")
    for name, given in value.items():
        entry = _lowered(given, f"InputData.{name}")
        match entry.get("jobinputtype"):
            case "UriFolder" | "UriFile" if "path" not in told:
                told["path"] = _path(entry.get("uri"))
            case "Literal":
                text = entry.get("value")
                told[name] = value_of(name, text) if isinstance(text, str) else text
            case _:
                raise InvalidField(f"InputData.{name[:60]}", "must be one UriFolder or UriFile, or a Literal")
    return told


def _path(uri: object) -> str:
    """Return the path below the root that an address of a datastore, or a plain path, means."""
    if not isinstance(uri, str):
        raise InvalidField("Uri", "must be text")
    on_store = _DATASTORE.fullmatch(uri)
    path = on_store["path"] if on_store else uri
    if not on_store and "://" in uri:
        raise InvalidField(
            "Uri", "is not read from here", hint="azureml://datastores/NAME/paths/PATH, PATH on this server"
        )
    return path.rstrip("/")


def _whole(value: object) -> int:
    try:
        return int(str(value))
    except ValueError as error:
        raise InvalidField("errorThreshold", "must be a whole number") from error


def _lowered(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidField(name[:80], "must be an object")
    return {str(key).lower(): entry for key, entry in value.items()}


DIALECT = Dialect(
    name="azure-batch",
    prefixes=("/jobs",),
    work=frozenset({"POST /jobs"}),
    routes=routes,
    words=words,
)
