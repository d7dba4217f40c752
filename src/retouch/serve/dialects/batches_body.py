"""The body that asks for a batch: a form with a table, or JSON with a path below the declared root."""

from typing import Any

from fastapi import Request

from retouch.engine.samplers import resolve_sampler
from retouch.errors import InvalidField, UnsupportedMedia
from retouch.request import MAX_SEED, InpaintRequest
from retouch.serve.asking import form_of, json_of, picture_of
from retouch.serve.batches.order import TABLE_KINDS, BatchOrder, Sent, kind_of
from retouch.serve.dialects.native_body import PROPERTIES, format_of, quality_of, texts_of
from retouch.serve.service import Service

_FILES = ("input", "mask_image")
_OWN = ("path", "input_format", "extra_columns", "max_failures", "format", "quality", "seed")
_SCHEMA: dict[str, Any] = {
    **PROPERTIES,
    "path": {"type": "string", "description": "A table or folder below the server's --batch-root."},
    "extra_columns": {"enum": ["error", "keep"]},
    "max_failures": {"type": "integer", "minimum": 0, "description": "More failed rows end the batch."},
}
_FORM: dict[str, Any] = {
    **_SCHEMA,
    "input": {"type": "string", "format": "binary", "description": f"A table: {', '.join(TABLE_KINDS)}."},
    "input_format": {"enum": list(TABLE_KINDS), "description": "What `input` is; else it is looked at."},
    "mask_image": {"type": "string", "format": "binary", "description": "The mask of rows that have none."},
}
_JSON: dict[str, Any] = {**_SCHEMA, "mask_image": {"type": "string", "description": "In base64."}}

BODY: dict[str, Any] = {
    "required": True,
    "content": {
        kind: {"schema": {"type": "object", "properties": properties, "additionalProperties": False}}
        for kind, properties in (("multipart/form-data", _FORM), ("application/json", _JSON))
    },
}
"""What the OpenAPI document says."""


async def batch_order_of(request: Request, service: Service) -> BatchOrder:
    """Read a body.

    Raises:
        UnsupportedMedia: it is neither a form nor JSON, or the table is packed.
        InvalidField: a field is unknown, missing or wrong.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    sent: bytes | None = None
    if kind == "application/json":
        told = await json_of(request, service)
        mask = await picture_of(told.pop("mask_image"), "mask_image", service) if "mask_image" in told else None
    elif kind == "multipart/form-data":
        form = await form_of(request, service, file_bytes=service.settings.body_bytes)
        sent, mask = form.content("input"), form.content("mask_image")
        told = texts_of(form, but=_FILES)
    else:
        raise UnsupportedMedia("the body is of another kind", hint="send multipart/form-data or application/json")
    return batch_order(told, sent, mask, service)


def batch_order(told: dict[str, Any], sent: bytes | None, mask: bytes | None, service: Service) -> BatchOrder:
    """Make an order of the fields of a body.

    Raises:
        UnsupportedMedia: the table is packed.
        InvalidField: a field is unknown, missing or wrong.
    """
    for name in told:
        if name not in (*PROPERTIES, *_OWN):
            raise InvalidField(name, "is not a field of a batch", hint=f"known: {', '.join(_FORM)}")
    given = {name: value for name, value in told.items() if name not in _OWN and value is not None}
    fields: dict[str, Any] = {"safety": service.settings.safety, **given}
    service.check(InpaintRequest(**({"prompt": ""} | fields), image=b""))
    resolve_sampler(fields.get("scheduler"), service.model)  # an unknown name would fail every row
    return BatchOrder(
        input=_input(told, sent),
        fields=fields,
        mask_image=mask,
        seed=_whole(told, "seed", MAX_SEED) or 0,
        max_failures=_whole(told, "max_failures", MAX_SEED),
        keep_extra=_choice(told, "extra_columns", ("error", "keep")) == "keep",
        format=format_of(told),
        quality=quality_of(told),
    )


def _input(told: dict[str, Any], sent: bytes | None) -> Sent | str:
    path = told.get("path")
    if (path is None) == (sent is None):
        raise InvalidField("input", "is missing" if sent is None else "is sent, and a path is named, too")
    if sent is not None:
        named = _choice(told, "input_format", TABLE_KINDS)
        kinds = [kind for kind in TABLE_KINDS if kind == named]
        return Sent(kinds[0] if kinds else kind_of(sent), sent)
    if not isinstance(path, str) or not path:
        raise InvalidField("path", "must be text")
    return path


def _choice(told: dict[str, Any], name: str, choices: tuple[str, ...]) -> str | None:
    value = told.get(name)
    if value is not None and value not in choices:
        raise InvalidField(name, f"is {str(value)[:40]!r}", hint=f"one of: {', '.join(choices)}")
    return value


def _whole(told: dict[str, Any], name: str, most: int) -> int | None:
    value = told.get(name)
    if isinstance(value, str) and value.isdecimal() and len(value) < 20:  # a form has texts alone
        value = int(value)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most):
        raise InvalidField(name, f"is {str(value)[:40]!r}, must be 0 to {most}")
    return value
