"""Bodies that hold a table: their media type, and the JSON in them."""

from typing import Any

from fastapi import Request

from retouch.errors import MalformedBody, UnsupportedMedia
from retouch.serve.service import Service
from retouch.serve.strict_json import JsonLimits, parse_json

JSON = "application/json"
CSV = "text/csv"


def media_type_of(request: Request, *known: str) -> str:
    """Return the media type of a body.

    Raises:
        UnsupportedMedia: it is another than the known ones, or its text is not UTF-8.
    """
    kind, *parameters = (part.strip().lower() for part in request.headers.get("content-type", "").split(";"))
    if kind not in known:
        raise UnsupportedMedia(f"Expects Content-Type to be {' or '.join(known)}")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip(' "').replace("_", "-") not in ("utf-8", "utf8"):
            raise UnsupportedMedia("The scoring server only supports UTF-8")
    return kind


async def json_dictionary(request: Request, service: Service) -> dict[str, Any]:
    """Read a body that is a JSON object; the messages are those of Azure's own server.

    Raises:
        MalformedBody: it is none.
        BodyTooLarge: it holds too many values.
    """
    body = await request.body()
    if not body.strip():
        raise MalformedBody("POST body is empty. Expecting a JSON dictionary.")
    try:
        document = await service.aside(parse_json, body, limits=JsonLimits(service.settings.json_depth))
    except MalformedBody as error:
        raise MalformedBody(f"POST body could not be decoded as JSON: {error}", hint=error.hint) from error
    if not isinstance(document, dict):
        raise MalformedBody("POST body should be a JSON dictionary.")
    return document
