"""Errors as Azure ML's own container for this model words them, where a deployer asks for that.

It knows one fault of content: whatever a row has wrong fails the whole request with 500 and one sentence. A
refusal by content safety is an answer without rows.
"""

from fastapi.responses import JSONResponse

from retouch.errors import (
    Blocked,
    BodyTimeout,
    BodyTooLarge,
    Cancelled,
    DeadlineExceeded,
    MalformedBody,
    MethodNotAllowed,
    RetouchError,
    Unavailable,
    UnsupportedMedia,
)
from retouch.serve.dialect import Words
from retouch.serve.refusals import refusal_headers

UNEXPECTED = "An unexpected error occurred in scoring script. Check the logs for more info."
_BEFORE_THE_SCRIPT = (
    MalformedBody, UnsupportedMedia, MethodNotAllowed, BodyTooLarge, BodyTimeout, Unavailable, Cancelled,
)  # fmt: skip
RUN_FAILED = {"x-ms-run-function-failed": "True"}


def container_words(error: RetouchError, *, deadline_s: float) -> Words:
    """Return status and body of the container's answer to an error.

    Args:
        deadline_s: what a request is given.
    """
    if isinstance(error, Blocked):
        return Words(200, {})
    if isinstance(error, DeadlineExceeded):
        return Words(500, {"message": f"Scoring timeout after {round(deadline_s * 1000)} ms"})
    if not isinstance(error, _BEFORE_THE_SCRIPT):
        return Words(500, {"message": UNEXPECTED})
    return Words(error.status, {"message": str(error)})


def container_answer(error: RetouchError, *, deadline_s: float) -> JSONResponse:
    """Return the container's answer to an error."""
    told = container_words(error, deadline_s=deadline_s)
    if isinstance(error, _BEFORE_THE_SCRIPT):
        answer = JSONResponse(told.body, told.status)
        answer.raw_headers += refusal_headers(error)
        return answer
    return JSONResponse(told.body, told.status, None if isinstance(error, Blocked) else RUN_FAILED)
