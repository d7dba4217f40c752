"""What a route knows of the request that called it, beside its body."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.types import Scope

from retouch.errors import Cancelled, InvalidField
from retouch.serve.admission import Lease
from retouch.serve.forms import Form, FormLimits, parse_form
from retouch.serve.keys import caller_of
from retouch.serve.pictures import is_url, picture_bytes
from retouch.serve.service import Service
from retouch.serve.strict_json import JsonLimits, parse_json_object

T = TypeVar("T")


def payer_of(scope: Scope) -> str | None:
    """Return the key that a request's work is counted against; None where the server asks for no keys."""
    caller = caller_of(scope)
    return None if caller.is_anonymous else caller.id


def lease_of(request: Request) -> Lease:
    """Return what the request holds of the server; it is given back when its answer has gone."""
    lease: Lease = request.state.lease
    return lease


async def json_of(request: Request, service: Service) -> dict[str, Any]:
    """Return the JSON object that a body holds, whatever type it claims to be.

    Raises:
        MalformedBody, BodyTooLarge: it is none, or over a limit.
    """
    limits = JsonLimits(depth=service.settings.json_depth)
    return await service.aside(parse_json_object, await request.body(), limits=limits)


async def form_of(request: Request, service: Service, *, file_bytes: int | None = None) -> Form:
    """Return the form that a body holds.

    Args:
        file_bytes: of one file; None is what a picture may have.
    Raises:
        UnsupportedMedia, MalformedBody, BodyTooLarge: it is none, or over a limit.
    """
    limits = FormLimits(file_bytes=file_bytes or service.settings.image_bytes)
    kind = request.headers.get("content-type", "")
    return await service.aside(parse_form, kind, await request.body(), limits=limits)


async def picture_of(value: object, field: str, service: Service) -> bytes:
    """Return the encoded picture that a text of a body holds in base64, or names by an address that is allowed.

    Raises:
        InvalidField: it is no text, or no base64.
        ImageTooLarge, UrlRefused, UrlFailed: it is over the limit, or is not fetched.
    """
    if not isinstance(value, str):
        raise InvalidField(field, "must be a picture in base64")
    if is_url(value) and service.settings.picture_hosts:
        return await service.fetch(value)
    return await service.aside(picture_bytes, value, field=field, limits=service.limits)


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Run work for a client, and give it up as soon as the client has gone; call it once the body was read.

    Raises:
        Cancelled: the client has gone; nobody will read the answer.
    """
    task = asyncio.create_task(work)
    gone = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise Cancelled("the client has gone")
    finally:
        gone.cancel()
        task.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
