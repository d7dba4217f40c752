"""Azure ML's real-time endpoint of the model card: `POST /score`."""

from collections.abc import Coroutine, Iterable, Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from retouch import __version__
from retouch.errors import InvalidField, MalformedBody, MethodNotAllowed, RetouchError
from retouch.serve.dialect import Dialect, Words, plain_words
from retouch.serve.dialects.azure_container import container_answer
from retouch.serve.dialects.entries import worst
from retouch.serve.dialects.row_requests import merged
from retouch.serve.dialects.scoring import Scorer
from retouch.serve.dialects.table_bodies import JSON, json_dictionary, media_type_of
from retouch.serve.dialects.table_schema import (
    ERROR_SCHEMA,
    SERVICE_INPUT,
    Version,
    body_of,
    entries_schema,
    swagger,
)
from retouch.serve.dialects.tables import Row, read_records, read_split, shown
from retouch.serve.service import Service

_NO_INPUT = "A value is not provided for the 'input_data' parameter."
_TABLE_KEYS = {"columns", "data", "index", "dtype", "copy"}
"""What pandas takes for a table; the last two mean nothing for texts."""
_SWAGGERS: Mapping[str, Version] = {"2": "2", "3": "3", "3.1": "3.1"}


def read_input(document: Mapping[str, Any], *, most_rows: int) -> tuple[list[Row], dict[str, Any]]:
    """Read `input_data` and the parameters, which may stand in it (`parameters`) or beside it (`params`).

    Raises:
        MalformedBody: there is no `input_data`.
        InvalidField: it is no table, or something is there that nobody knows.
    """
    if document.get("input_data") is None:
        raise MalformedBody(_NO_INPUT)
    beside = dict(document)
    table = beside.pop("input_data")
    parameters = merged(_taken(beside, "params"), _taken(beside, "parameters"))
    _refuse(beside, "the body")
    if isinstance(table, list):
        return read_records(table, name="input_data", most=most_rows), parameters
    if not isinstance(table, dict):
        raise InvalidField("input_data", "must be an object with columns and data")
    inside = dict(table)
    parameters = merged(_taken(inside, "parameters"), _taken(inside, "params"), parameters)
    _refuse(inside.keys() - _TABLE_KEYS, "input_data")
    return read_split(inside, name="input_data", most=most_rows), parameters


def words(error: RetouchError) -> Words:
    """Word an error: `message` is where Azure's clients look for it."""
    plain = plain_words(error)
    return Words(plain.status, {"message": str(error), **plain.body})


class _Endpoint:
    """The handlers, in the deployer's profile of errors."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._scorer = Scorer(service)
        self._is_container = service.settings.error_profile == "azure"

    async def score(self, request: Request) -> Response:
        return await self._in_profile(self._scored(request))

    async def refuse_method(self, request: Request) -> Response:
        return await self._in_profile(self._refused(request))

    async def _in_profile(self, work: Coroutine[Any, Any, Response]) -> Response:
        try:
            return await work
        except RetouchError as error:
            if not self._is_container:
                raise
            return container_answer(error, deadline_s=self._service.settings.deadline_s)

    async def _scored(self, request: Request) -> Response:
        media_type_of(request, JSON)
        document = await json_dictionary(request, self._service)
        rows, parameters = read_input(document, most_rows=self._service.settings.rows_per_request)
        scored = await self._scorer.score(request, rows, parameters)
        if self._is_container and (error := worst(scored)) is not None:
            raise error
        return await self._scorer.answer(scored)

    async def _refused(self, request: Request) -> Response:
        if self._is_container and request.method == "GET":
            raise MalformedBody(_NO_INPUT)
        raise MethodNotAllowed("The method is not allowed for the requested URL.", hint="use POST")


def routes(service: Service) -> APIRouter:
    """Make the routes of the endpoint."""
    router = APIRouter()
    endpoint = _Endpoint(service)

    @router.post(
        "/score",
        summary="Repaint rows of a table, as Azure ML's endpoint of this model does",
        openapi_extra=body_of({JSON: {"schema": SERVICE_INPUT}}),
        responses={
            200: {"content": {JSON: {"schema": entries_schema("3.1")}}},
            "4XX": {"description": "Refused", "content": {JSON: {"schema": ERROR_SCHEMA}}},
            "5XX": {"description": "Failed", "content": {JSON: {"schema": ERROR_SCHEMA}}},
        },
    )
    async def score(request: Request) -> Response:
        """Rows are independent: one that fails has an `error` in the place of its picture.

        Where every row fails, the answer is that error.
        """
        return await endpoint.score(request)

    @router.options("/score", include_in_schema=False)
    async def options() -> Response:
        return Response(headers={"Allow": "OPTIONS, POST"})

    @router.api_route("/score", methods=["GET", "HEAD", "PUT", "PATCH", "DELETE"], include_in_schema=False)
    async def other_method(request: Request) -> Response:
        return await endpoint.refuse_method(request)

    @router.get(
        "/swagger.json",
        summary="What /score takes and answers, in three versions of Swagger",
        responses={404: {"description": "No such version", "content": {JSON: {"schema": ERROR_SCHEMA}}}},
    )
    async def swagger_document(version: str = "2") -> JSONResponse:
        if version not in _SWAGGERS:
            message = f"Swagger version [{version[:20]}] is not valid. Supported versions: [2, 3, 3.1]."
            return JSONResponse({"message": message}, 404)
        return JSONResponse(swagger(_SWAGGERS[version], title="retouch", release=__version__))

    return router


def _taken(given: dict[str, Any], name: str) -> Mapping[str, Any]:
    """Take parameters out of an object."""
    parameters = given.pop(name, None)
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise InvalidField(name, "must be an object")
    return parameters


def _refuse(names: Iterable[str], place: str) -> None:
    for name in names:
        hint = "rows are in input_data.data, parameters in params"
        raise InvalidField(shown(name), f"means nothing in {place}", hint=hint)


DIALECT = Dialect(
    name="azure",
    prefixes=("/score", "/swagger.json"),
    work=frozenset({"POST /score"}),
    routes=routes,
    words=words,
)
