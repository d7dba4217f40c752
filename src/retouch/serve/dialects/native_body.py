"""The body of our own dialect: a form or JSON with the fields of a request under their own names."""

from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any

from fastapi import Request

from retouch.errors import InvalidField, UnsupportedMedia
from retouch.imaging.choices import FileFormat
from retouch.imaging.encode import MEDIA_TYPES
from retouch.request import InpaintRequest
from retouch.serve.asking import form_of, json_of, picture_of
from retouch.serve.forms import Form
from retouch.serve.order import PICTURES, Order
from retouch.serve.service import Service

_FORMATS: dict[str, FileFormat] = {name.lower(): name for name in MEDIA_TYPES}
_OUTPUT = ("format", "quality")
_FIELDS = {field.name: str(field.type) for field in fields(InpaintRequest) if field.name not in PICTURES}


def _schema(kind: str) -> dict[str, Any]:
    for word, name in (("bool", "boolean"), ("int", "integer"), ("float", "number")):
        if word in kind:
            return {"type": name}
    return {"type": "string"}


PROPERTIES: dict[str, Any] = {
    **{name: _schema(kind) for name, kind in _FIELDS.items()},
    "format": {"enum": sorted(_FORMATS)},
    "quality": {"type": "integer", "minimum": 1, "maximum": 100},
}
_FILE = {"type": "string", "format": "binary"}
_TEXT = {"type": "string", "description": "The picture in base64, or as a data: URL."}

BODY: dict[str, Any] = {
    "required": True,
    "content": {
        kind: {
            "schema": {
                "type": "object",
                "properties": {**dict.fromkeys(PICTURES, picture), **PROPERTIES},
                "required": ["prompt", "image"],
                "additionalProperties": False,
            }
        }
        for kind, picture in (("multipart/form-data", _FILE), ("application/json", _TEXT))
    },
}
"""What the OpenAPI document says."""


async def order_of(request: Request, service: Service) -> Order:
    """Read a body.

    Raises:
        UnsupportedMedia: it is neither a form nor JSON.
        InvalidField: a field is unknown, missing or wrong.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        told = await json_of(request, service)
        pictures = {name: await picture_of(told.pop(name), name, service) for name in PICTURES if name in told}
    elif kind == "multipart/form-data":
        form = await form_of(request, service)
        pictures = {name: data for name in PICTURES if (data := form.content(name)) is not None}
        told = texts_of(form, but=PICTURES)
    else:
        raise UnsupportedMedia("the body is of another kind", hint="send multipart/form-data or application/json")
    return _order(told, pictures, service)


def _order(told: Mapping[str, Any], pictures: Mapping[str, bytes], service: Service) -> Order:
    for name in told:
        if name not in PROPERTIES:
            raise InvalidField(name, "is not a field of a request", hint=f"known: {', '.join(PROPERTIES)}")
    for name, value in (("prompt", told.get("prompt")), ("image", pictures.get("image"))):
        if value is None:
            raise InvalidField(name, "is missing")
    given = {name: value for name, value in told.items() if name not in _OUTPUT and value is not None}
    asked: dict[str, Any] = {"safety": service.settings.safety, **given, **pictures}
    return Order(InpaintRequest(**asked), format_of(told), quality_of(told))


def format_of(told: Mapping[str, Any]) -> FileFormat:
    """Return the format of the files that are wanted back."""
    format = told.get("format") or "png"
    if not isinstance(format, str) or format.lower() not in _FORMATS:
        raise InvalidField("format", f"is {format!r}", hint=f"one of: {', '.join(_FORMATS)}")
    return _FORMATS[format.lower()]


def quality_of(told: Mapping[str, Any]) -> int | None:
    """Return the quality of the files that are wanted back."""
    value = told.get("quality")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 100:
        raise InvalidField("quality", f"is {value!r}, must be 1 to 100")
    return value


def texts_of(form: Form, *, but: Collection[str]) -> dict[str, Any]:
    """Return the fields of a form as the values that JSON would hold.

    Args:
        but: names of those that are files.
    """
    told: dict[str, Any] = {}
    for name in form.names - set(but):
        text = form.text(name)
        if text is not None:
            told[name] = value_of(name, text)
    return told


def value_of(name: str, text: str) -> Any:
    """Return the text of a field as the value that JSON would hold."""
    kind = PROPERTIES.get(name, {}).get("type")
    try:
        if kind == "integer":
            return int(text)
        if kind == "number":
            return float(text)
    except ValueError as error:
        raise InvalidField(name, f"must be a number, not {text[:40]!r}") from error
    if kind == "boolean":
        if text.lower() not in ("true", "false", "1", "0"):
            raise InvalidField(name, f"must be true or false, not {text[:40]!r}")
        return text.lower() in ("true", "1")
    return text
