"""How an error is answered: in the words of the dialect that owns the path, with the headers that belong to it."""

import logging
import math
import secrets

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from retouch.errors import InvalidField, MethodNotAllowed, NotFound, RetouchError, Unauthorized, Unavailable
from retouch.serve.dialect import plain_answer
from retouch.serve.dialects import dialect_of

log = logging.getLogger(__name__)


def answer_to(error: RetouchError, path: str) -> JSONResponse:
    """Word an error for whoever called `path`."""
    dialect = dialect_of(path)
    answer = (plain_answer if dialect is None else dialect.answer)(error)
    headers = {}
    if isinstance(error, Unavailable) and error.retry_after_s is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = 'Bearer realm="retouch"'
    return JSONResponse(answer.body, answer.status, headers)


def answer_errors(app: FastAPI) -> None:
    """Let every error of a route end here."""

    @app.exception_handler(RetouchError)
    async def known(request: Request, error: RetouchError) -> JSONResponse:
        return answer_to(error, request.url.path)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"][1:]) or "request"
        return answer_to(InvalidField(field, first["msg"]), request.url.path)

    @app.exception_handler(HTTPException)
    async def unrouted(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == MethodNotAllowed.status:
            return answer_to(MethodNotAllowed("the method is not allowed here"), request.url.path)
        return answer_to(NotFound("there is nothing here"), request.url.path)

    @app.exception_handler(Exception)
    async def unknown(request: Request, error: Exception) -> JSONResponse:
        fault = secrets.token_hex(4)
        log.error("unexpected %s (id %s)", type(error).__name__, fault, exc_info=error)
        told = RetouchError(f"unexpected error (id {fault})", hint="the server's log has more under this id")
        return answer_to(told, request.url.path)
