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
from retouch.serve.refusals import refusal_headers

UNEXPECTED = "An unexpected error occurred in scoring script. Check the logs for more info."
_BEFORE_THE_SCRIPT = (
    MalformedBody, UnsupportedMedia, MethodNotAllowed, BodyTooLarge, BodyTimeout, Unavailable, Cancelled,
)  # fmt: skip
_RUN_FAILED = {"x-ms-run-function-failed": "True"}


def container_answer(error: RetouchError, *, deadline_s: float) -> JSONResponse:
    """Return the container's answer to an error.

    Args:
        deadline_s: what a request is given.
    """
    if isinstance(error, Blocked):
        return JSONResponse({})
    if isinstance(error, DeadlineExceeded):
        message = f"Scoring timeout after {round(deadline_s * 1000)} ms"
        return JSONResponse({"message": message}, 500, _RUN_FAILED)
    if not isinstance(error, _BEFORE_THE_SCRIPT):
        return JSONResponse({"message": UNEXPECTED}, 500, _RUN_FAILED)
    answer = JSONResponse({"message": str(error)}, error.status)
    answer.raw_headers += refusal_headers(error)
    return answer
