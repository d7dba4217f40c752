"""MLflow's scoring protocol: `POST /invocations`, `/ping`, `/health` and `/version`."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from retouch.errors import BadInput, InvalidField, MalformedBody, RetouchError
from retouch.serve.dialect import Dialect, Words, plain_words
from retouch.serve.dialects.scoring import Scorer
from retouch.serve.dialects.table_bodies import CSV, JSON, json_dictionary, media_type_of
from retouch.serve.dialects.table_schema import ERROR_SCHEMA, INVOCATION, body_of, predictions_schema
from retouch.serve.dialects.tables import Row, read_columns, read_csv, read_records, read_split, shown
from retouch.serve.service import Service

PROTOCOL = "2.12.1"
"""The version of MLflow whose scoring protocol this is; clients ask for it."""

_FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_BESIDE = frozenset({"params", "signature_name"})
_PING: dict[int | str, dict[str, Any]] = {503: {"description": "None is", "content": {"text/plain": {}}}}
_CODES = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "ENDPOINT_NOT_FOUND",
    429: "REQUEST_LIMIT_EXCEEDED",
    499: "CANCELLED",
    500: "INTERNAL_ERROR",
    501: "NOT_IMPLEMENTED",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def read_invocation(document: Mapping[str, Any], *, most_rows: int) -> tuple[list[Row], Mapping[str, Any], bool]:
    """Read a document's rows and parameters, and whether it is one bare row, whose answer is a bare list.

    Raises:
        MalformedBody: it holds none of MLflow's formats, or several.
        InvalidField: the table cannot be read, or something is there that nobody knows.
    """
    parameters = document.get("params") or {}
    if not isinstance(parameters, dict):
        raise InvalidField("params", "must be an object")
    found = [name for name in _FORMATS if name in document]
    if not found and "prompt" in document:
        row = {name: cell for name, cell in document.items() if name not in _BESIDE}
        return read_records([row], name="body", most=1), parameters, True
    if len(found) != 1:
        formats = ", ".join(f"'{name}'" for name in _FORMATS)
        raise MalformedBody(
            f"The input must be a JSON dictionary with exactly one of the input fields {{{formats}}}."
        )
    for name in document.keys() - {*found, *_BESIDE}:
        raise InvalidField(shown(name), "means nothing in the body", hint="parameters are in params")
    return _rows(found[0], document[found[0]], most_rows), parameters, False


def words(error: RetouchError) -> Words:
    """Word an error as MLflow does, which answers all faults of content with 400."""
    status = 400 if error.status == BadInput.status else error.status
    default = "BAD_REQUEST" if status < RetouchError.status else _CODES[RetouchError.status]
    code = "INVALID_PARAMETER_VALUE" if isinstance(error, InvalidField) else _CODES.get(status, default)
    return Words(status, {"error_code": code, "message": str(error), **plain_words(error).body})


def routes(service: Service) -> APIRouter:
    """Make the routes of the protocol."""
    router = APIRouter()
    scorer = Scorer(service)
    most = service.settings.rows_per_request

    @router.post(
        "/invocations",
        summary="Repaint rows of a table, as a model served by MLflow does",
        openapi_extra=body_of({JSON: {"schema": INVOCATION}, CSV: {"schema": {"type": "string"}}}),
        responses={
            200: {"content": {JSON: {"schema": predictions_schema()}}},
            "4XX": {"description": "Refused", "content": {JSON: {"schema": ERROR_SCHEMA}}},
            "5XX": {"description": "Failed", "content": {JSON: {"schema": ERROR_SCHEMA}}},
        },
    )
    async def invocations(request: Request) -> Response:
        """Rows are independent: one that fails has an `error` in the place of its picture."""
        if media_type_of(request, JSON, CSV) == CSV:
            rows = await service.aside(_csv_rows, await request.body(), most=most)
            return await scorer.answer(await scorer.score(request, rows, {}), _predictions)
        document = await json_dictionary(request, service)
        rows, parameters, is_bare = read_invocation(document, most_rows=most)
        scored = await scorer.score(request, rows, parameters)
        return await scorer.answer(scored, list if is_bare else _predictions)

    @router.get("/ping", summary="Whether work is taken", response_class=PlainTextResponse, responses=_PING)
    @router.get("/health", summary="Whether work is taken", response_class=PlainTextResponse, responses=_PING)
    async def ping() -> Response:
        is_ready = service.is_ready and service.is_live
        return PlainTextResponse("\n", 200 if is_ready else 503)

    @router.get(
        "/version", summary="The version of MLflow whose protocol is spoken", response_class=PlainTextResponse
    )
    async def version() -> str:
        return PROTOCOL

    return router


def _rows(form: str, table: Any, most: int) -> list[Row]:
    if form == "dataframe_split" or (form == "inputs" and isinstance(table, dict)):
        if not isinstance(table, dict):
            raise InvalidField(form, "must be an object with columns and data")
        return (read_columns if form == "inputs" else read_split)(table, name=form, most=most)
    return read_records(table, name=form, most=most)


def _csv_rows(body: bytes, *, most: int) -> list[Row]:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedBody(f"the body is not UTF-8 at {error.start}") from error
    return read_csv(text, most=most)


def _predictions(entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {"predictions": entries}


DIALECT = Dialect(
    name="mlflow",
    prefixes=("/invocations", "/ping", "/version"),
    work=frozenset({"POST /invocations"}),
    routes=routes,
    words=words,
)
