"""How an error is answered: in the words of the dialect that owns the path, with the headers that belong to it."""

import json

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import Scope

from retouch.errors import InvalidField, MethodNotAllowed, NotFound, RetouchError
from retouch.serve.dialects import dialect_of
from retouch.serve.refusals import Answer, plain_answer, refusal_headers
from retouch.serve.scopes import routed_path


def render(scope: Scope, error: RetouchError) -> Answer:
    """Word an error for whoever called a path."""
    dialect = dialect_of(routed_path(scope))
    if dialect is None:
        return plain_answer(scope, error)
    worded = dialect.words(error)
    body = json.dumps(worded.body).encode()
    headers = [(b"content-type", b"application/json"), *refusal_headers(error)]
    return Answer(worded.status, body, headers)


def answer_errors(app: FastAPI) -> None:
    """Let every error of a route end here."""

    def answer(request: Request, error: RetouchError) -> Response:
        rendered = render(request.scope, error)
        response = Response(rendered.body, rendered.status)
        response.raw_headers += rendered.headers
        return response

    @app.exception_handler(RetouchError)
    async def known(request: Request, error: RetouchError) -> Response:
        return answer(request, error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"][1:]) or "request"
        return answer(request, InvalidField(field, first["msg"]))

    @app.exception_handler(HTTPException)
    async def unrouted(request: Request, error: HTTPException) -> Response:
        if error.status_code == MethodNotAllowed.status:
            return answer(request, MethodNotAllowed("the method is not allowed here"))
        return answer(request, NotFound("there is nothing here"))

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> Response:  # noqa: ARG001 - the doors log it
        return answer(request, RetouchError("internal error", hint="tell the operator the request id"))
