"""The errors of retouch: one class for each thing a caller can act on.

    RetouchError                  internal            500   exit 1
    ├── BadInput                  bad_input           422   exit 2
    │   ├── InvalidField          invalid_field       422
    │   ├── ImageError            image_invalid       422
    │   │   ├── ImageFormatError  image_format        415
    │   │   └── ImageTooLarge     image_too_large     413
    │   ├── MaskError             mask_invalid        422
    │   │   ├── MaskSizeError     mask_size           422
    │   │   └── MaskEmpty         mask_empty          422
    │   ├── MalformedBody         malformed_body      400
    │   ├── BodyTooLarge          body_too_large      413
    │   ├── UnsupportedMedia      unsupported_media   415
    │   ├── BatchTooLarge         batch_too_large     413
    │   ├── UrlRefused            url_refused         422
    │   ├── UrlFailed             url_failed          422
    │   ├── OutputInUse           output_in_use       409
    │   ├── BadRow                bad_row             422
    │   ├── OutputDiffers         output_differs      409
    │   └── MissingExtra          missing_extra       501
    ├── ModelError                model_error         500   exit 2
    │   ├── ModelNotFound         model_not_found     404
    │   ├── ModelUnsafe           model_unsafe        422
    │   └── ModelUnsupported      model_unsupported   422
    ├── Blocked                   blocked             422   exit 3
    │   └── Unchecked             unchecked           422
    ├── GenerationFailed          generation_failed   500   exit 1
    │   ├── NonFinite             non_finite          500
    │   └── OutOfMemory           out_of_memory       503
    ├── Unauthorized              unauthorized        401   exit 1
    ├── Forbidden                 forbidden           403   exit 1
    ├── NotFound                  not_found           404   exit 1
    │   └── Gone                  gone                410
    ├── MethodNotAllowed          method_not_allowed  405   exit 1
    ├── Conflict                  conflict            409   exit 1
    ├── BodyTimeout               body_timeout        408   exit 1
    ├── Unavailable               unavailable         503   exit 1
    │   ├── QueueFull             queue_full          429
    │   ├── SourceUnavailable     source_unavailable  503
    │   ├── RateLimited           rate_limited        429
    │   ├── Draining              draining            503
    │   ├── Interrupted           interrupted         503
    │   └── EngineClosed          engine_closed       503
    ├── StorageFailed             storage_failed      507   exit 1
    ├── TooManyFailures           too_many_failures   500   exit 1
    ├── DeadlineExceeded          deadline_exceeded   504   exit 1
    └── Cancelled                 cancelled           499   exit 130

This module is the only table of codes, HTTP statuses and exit codes.
"""

import copyreg
from typing import Any, ClassVar


class RetouchError(Exception):
    """What went wrong (the message), and what to do about it (`hint`)."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors come from other processes; `__init__` could not be called again with what it left in `args`.
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class BadInput(RetouchError):
    """The caller's input cannot be used as it is."""

    code, status, exit_code = "bad_input", 422, 2


class InvalidField(BadInput):
    """A field of a request is out of its range; `field` names it."""

    code = "invalid_field"

    def __init__(self, field: str, message: str, *, hint: str = "") -> None:
        super().__init__(f"{field}: {message}", hint=hint)
        self.field = field


class ImageError(BadInput):
    """The bytes are not a picture that can be decoded whole."""

    code = "image_invalid"


class ImageFormatError(ImageError):
    """The file is of a kind that is not on the allow-list."""

    code, status = "image_format", 415


class ImageTooLarge(ImageError):
    """The picture is over a limit of bytes, pixels or side."""

    code, status = "image_too_large", 413


class MaskError(BadInput):
    """The mask cannot be read as one."""

    code = "mask_invalid"


class MaskSizeError(MaskError):
    """The mask has another size than the picture, or a side that does not divide."""

    code = "mask_size"


class MaskEmpty(MaskError):
    """The mask marks no pixel for repainting."""

    code = "mask_empty"


class MalformedBody(BadInput):
    """The body of an HTTP request, or what frames it, is not well-formed."""

    code, status = "malformed_body", 400


class BodyTooLarge(BadInput):
    """The body of an HTTP request, or a part of it, is over a limit of bytes or counts."""

    code, status = "body_too_large", 413


class UnsupportedMedia(BadInput):
    """The body of an HTTP request is of a media type that the route does not read."""

    code, status = "unsupported_media", 415


class BatchTooLarge(BadInput):
    """A batch has more rows, or makes more bytes, than the deployer allows."""

    code, status = "batch_too_large", 413


class UrlRefused(BadInput):
    """A picture's address is one that this server does not fetch from."""

    code, status = "url_refused", 422


class UrlFailed(BadInput):
    """A picture's address is allowed, but did not give a picture in time and size."""

    code, status = "url_failed", 422


class BadRow(BadInput):
    """A row of a table cannot be read; the others can."""

    code = "bad_row"


class OutputInUse(BadInput):
    """Another run writes into the same output."""

    code, status = "output_in_use", 409


class OutputDiffers(BadInput):
    """The output holds a run of another input, or with other settings."""

    code, status = "output_differs", 409


class MissingExtra(BadInput):
    """The work needs an optional extra of the package that is not installed."""

    code, status = "missing_extra", 501


class ModelError(RetouchError):
    """A checkpoint cannot be used."""

    code, exit_code = "model_error", 2


class ModelNotFound(ModelError):
    """There is no checkpoint, or not the whole of it, where it was looked for."""

    code, status = "model_not_found", 404


class ModelUnsafe(ModelError):
    """The checkpoint holds something that would run code, or sizes that are lies."""

    code, status = "model_unsafe", 422


class ModelUnsupported(ModelError):
    """The checkpoint is whole, but of a family that retouch does not run."""

    code, status = "model_unsupported", 422


class Blocked(RetouchError):
    """The safety policy is `error`, and it refused the prompt, the input or the picture."""

    code, status, exit_code = "blocked", 422, 3


class Unchecked(Blocked):
    """The check of a picture failed, which lets it pass no more than a refusal; another time it may succeed."""

    code = "unchecked"


class GenerationFailed(RetouchError):
    """The work itself failed."""

    code = "generation_failed"


class NonFinite(GenerationFailed):
    """The model produced NaN or infinity: an error, never taken for an unsafe picture."""

    code = "non_finite"


class OutOfMemory(GenerationFailed):
    """The device has not enough memory even for the smallest call."""

    code, status = "out_of_memory", 503


class Unauthorized(RetouchError):
    """The server asks for a key, and none that it knows was sent."""

    code, status = "unauthorized", 401


class Forbidden(RetouchError):
    """The server does not answer this host or this page."""

    code, status = "forbidden", 403


class NotFound(RetouchError):
    """There is no such thing for this caller."""

    code, status = "not_found", 404


class MethodNotAllowed(RetouchError):
    """The resource is there, but not for this method."""

    code, status = "method_not_allowed", 405


class Gone(NotFound):
    """There was such a thing, and it was kept as long as it is kept."""

    code, status = "gone", 410


class Conflict(RetouchError):
    """What is asked contradicts what was asked before."""

    code, status = "conflict", 409


class BodyTimeout(RetouchError):
    """The body of an HTTP request did not arrive in time."""

    code, status = "body_timeout", 408


class Unavailable(RetouchError):
    """The work cannot be taken now; `retry_after_s` says when to come again, where it is known."""

    code, status = "unavailable", 503

    def __init__(self, message: str, *, hint: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class QueueFull(Unavailable):
    """The engine's queue is at its limit."""

    code, status = "queue_full", 429


class RateLimited(Unavailable):
    """This caller has reached its own limit."""

    code, status = "rate_limited", 429


class Draining(Unavailable):
    """The server is about to stop, and ends what it has begun."""

    code = "draining"


class Interrupted(Unavailable):
    """The server stopped before the work was done."""

    code = "interrupted"


class SourceUnavailable(Unavailable):
    """A picture at an address could not be read this time; it may be there the next."""

    code = "source_unavailable"


class EngineClosed(Unavailable):
    """The engine was closed."""

    code = "engine_closed"


class StorageFailed(RetouchError):
    """What was done cannot be kept: the disk is full, or does not take what is written."""

    code, status = "storage_failed", 507


class TooManyFailures(RetouchError):
    """More rows failed than were allowed to."""

    code = "too_many_failures"


class DeadlineExceeded(RetouchError):
    """The work was not done in the time that the request gave it."""

    code, status = "deadline_exceeded", 504


class Cancelled(RetouchError):
    """The caller withdrew the work."""

    code, status, exit_code = "cancelled", 499, 130


_PASSING = frozenset({429, 503, 504, 507})


def status_of(code: str) -> int:
    """Return the HTTP status of an error by its code, as it was kept; 500 for one that nobody knows."""
    waiting = [RetouchError]
    while waiting:
        known = waiting.pop()
        if known.code == code:
            return known.status
        waiting += known.__subclasses__()
    return RetouchError.status


def is_passing(code: str) -> bool:
    """Tell whether an error, by its code, is none of the request, which may go well another time."""
    return status_of(code) in _PASSING
