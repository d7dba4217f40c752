"""OpenAI's image edits: `POST /v1/images/edits`, with streaming, and `GET /v1/models`.

Transparent = repaint, in the mask or in the picture itself. The picture keeps its size, and nothing but what is
transparent changes. What would change the picture and cannot be done here is refused.
"""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from retouch.errors import Blocked, Forbidden, NotFound, RetouchError, Unauthorized, Unavailable
from retouch.imaging.encode import MEDIA_TYPES
from retouch.result import InpaintResult
from retouch.serve.asking import form_of, lease_of, while_connected
from retouch.serve.dialect import Dialect, Words
from retouch.serve.dialects.openai_fields import FIELDS, Edit, edit_of
from retouch.serve.service import Service
from retouch.serve.work import Work

_POLL_S = 0.05
_NO_TOKENS = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "total_tokens": 0,
}
"""Clients read it; nothing is charged here."""


def routes(service: Service) -> APIRouter:
    """Make the routes."""
    router = APIRouter()

    @router.post("/v1/images/edits", summary="Edit a picture (OpenAI)", openapi_extra={"requestBody": _BODY})
    async def edit(request: Request) -> Response:
        """Repaint what is transparent in `mask`, or in `image` where there is no mask."""
        form = await form_of(request, service)
        edit = await service.aside(edit_of, form, service)
        lease = lease_of(request)
        if edit.is_streamed:
            work = service.start(edit.request, lease=lease)
            return StreamingResponse(_events(service, work, edit), media_type="text/event-stream")
        result = await while_connected(request, service.paint(edit.request, lease=lease))
        return JSONResponse(await _answer(service, result, edit))

    @router.get("/v1/models", summary="List the models (OpenAI)")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [_model(service)]}

    @router.get("/v1/models/{model:path}", summary="Show a model (OpenAI)")
    async def model(model: str) -> dict[str, Any]:
        known = _model(service)
        if model != known["id"]:
            raise NotFound(f"there is no model {model!r}", hint=f"known: {known['id']}")
        return known

    return router


def words(error: RetouchError) -> Words:
    """Word an error as OpenAI's API does: bad input is 400 there, whatever is wrong with it."""
    status, kind, code = error.status, "invalid_request_error", error.code
    if isinstance(error, Blocked):
        status, kind, code = 400, "image_generation_user_error", "moderation_blocked"
    elif isinstance(error, Unauthorized):
        code = "invalid_api_key"
    elif isinstance(error, NotFound):
        code = "model_not_found"
    elif isinstance(error, Unavailable):
        kind, code = ("requests", "rate_limit_exceeded") if status == 429 else ("server_error", code)
    elif status >= 500:
        kind = "server_error"
    elif not isinstance(error, Forbidden) and status in (413, 415, 422):
        status = 400
    message = f"{error} ({error.hint})" if error.hint else str(error)
    body = {"message": message, "type": kind, "param": getattr(error, "field", None), "code": code}
    return Words(status, {"error": body})


async def _answer(service: Service, result: InpaintResult, edit: Edit) -> dict[str, Any]:
    """Return the body of an answer; a picture that the check refused is an error where it is the only one."""
    if all(fill.nsfw_content_detected for fill in result.fills):
        raise Blocked("the picture was refused by the safety check", hint="word the prompt differently")
    data = [
        {
            **await service.aside(edit.shown, await _encoded(service, result, edit, index)),
            "seed": fill.seed,
            **({} if fill.spoken_prompt == result.request.prompt else {"revised_prompt": fill.spoken_prompt}),
            "nsfw_content_detected": fill.nsfw_content_detected,
            "kept_pixels_identical": fill.kept_pixels_identical,
        }
        for index, fill in enumerate(result.fills)
    ]
    return {"created": int(time.time()), **_described(result, edit), "data": data, "usage": _NO_TOKENS}


async def _events(service: Service, work: Work, edit: Edit) -> AsyncIterator[str]:
    """Send some previews, then each picture; an error ends the stream as an event."""
    try:
        async for index, preview in _previews(service, work, count=edit.partial_images):
            partial = {"b64_json": preview, "partial_image_index": index}
            yield _event("image_edit.partial_image", {**partial, **_plain(edit)})
        result = await work.result()
        body = await _answer(service, result, edit)
        for item in body.pop("data"):
            yield _event(
                "image_edit.completed", {**_described(result, edit), **item, **_stamp(), "usage": _NO_TOKENS}
            )
    except RetouchError as error:
        yield _event("error", {"type": "error", **words(error).body})
    finally:
        work.cancel()  # the client has gone, or all is sent


async def _previews(service: Service, work: Work, *, count: int) -> AsyncIterator[tuple[int, str]]:
    """Yield at most `count` previews, at equal parts of the way."""
    sent = 0
    while not work.task.done() and sent < count:
        progress = work.progress
        if progress is not None and progress.step >= progress.total * (sent + 1) / (count + 1):
            preview = await service.preview(work)
            if preview is not None:
                yield sent, base64.b64encode(preview).decode()
            sent += 1
        else:
            await asyncio.sleep(_POLL_S)


async def _encoded(service: Service, result: InpaintResult, edit: Edit, index: int) -> bytes:
    return await service.encode(result, edit.format, index=index, quality=edit.quality)


def _described(result: InpaintResult, edit: Edit) -> dict[str, Any]:
    picture = result.fills[0].picture
    background = "opaque" if picture.alpha is None or edit.format == "JPEG" else "transparent"
    return {**_plain(edit), "background": background, "size": f"{picture.width}x{picture.height}"}


def _plain(edit: Edit) -> dict[str, Any]:
    return {
        "background": "auto",
        "output_format": MEDIA_TYPES[edit.format].removeprefix("image/"),
        "quality": edit.quality_name,
        "size": "auto",
        **_stamp(),
    }


def _stamp() -> dict[str, int]:
    return {"created_at": int(time.time())}


def _event(name: str, data: Mapping[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n"


def _model(service: Service) -> dict[str, Any]:
    return {"id": service.model_name, "object": "model", "created": service.started, "owned_by": "retouch"}


_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {"type": "object", "properties": FIELDS, "required": ["image", "prompt"]}
        }
    },
}

DIALECT = Dialect(
    name="openai",
    prefixes=("/v1/images", "/v1/models"),
    work=frozenset({"POST /v1/images/edits"}),
    routes=routes,
    words=words,
)
