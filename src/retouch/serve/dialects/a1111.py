"""The dialect of AUTOMATIC1111's web UI: `/sdapi/v1/img2img` for inpainting, and what its clients ask beside it.

Source: the stable-diffusion-webui, modules api/api and api/models. What is done with each field of a body stands
in `a1111_fields`, with each option in `a1111_options`.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response

from retouch.errors import RetouchError
from retouch.imaging.metadata import ResultMetadata, read_metadata
from retouch.imaging.parameters import parse_parameters
from retouch.result import InpaintResult
from retouch.serve.asking import json_of, lease_of, picture_of, while_connected
from retouch.serve.dialect import Dialect, Words
from retouch.serve.dialects.a1111_asked import House, ask, pictures_in
from retouch.serve.dialects.a1111_fields import in_their_words, schema
from retouch.serve.dialects.a1111_info import answer_body
from retouch.serve.dialects.a1111_options import Checkpoint, check_unchanged, options_of
from retouch.serve.dialects.a1111_samplers import samplers, schedulers
from retouch.serve.dialects.a1111_underway import Underway, state_of
from retouch.serve.pictures import picture_text
from retouch.serve.service import Service

_PREFIX = "/sdapi/v1"
# What clients list. Of most there is none where one checkpoint is served and nothing is loaded by name.
_LISTS: Mapping[str, Any] = {
    "cmd-flags": {"api": True, "nowebui": True},
    "embeddings": {"loaded": {}, "skipped": {}},
    "extensions": [],
    "face-restorers": [],
    "hypernetworks": [],
    "latent-upscale-modes": [],
    "loras": [],
    "prompt-styles": [],
    "realesrgan-models": [],
    "samplers": samplers(),
    "schedulers": schedulers(),
    "scripts": {"txt2img": [], "img2img": []},
    "sd-vae": [],
    "upscalers": [],
}


def routes(service: Service) -> APIRouter:
    """Make the routes."""
    router = APIRouter(prefix=_PREFIX)
    _paint(router, service)
    _show(router, service)
    return router


def words(error: RetouchError) -> Words:
    """Word an error as A1111 does, whose clients show `detail` or `errors`; its status stays honest."""
    told = in_their_words(f"{error} ({error.hint})" if error.hint else str(error))
    return Words(error.status, {"error": type(error).__name__, "detail": told, "body": "", "errors": told})


def _paint(router: APIRouter, service: Service) -> None:
    underway = Underway()

    @router.post("/img2img", summary="Repaint the masked part of a picture (A1111)", openapi_extra=_body(schema()))
    async def img2img(request: Request) -> Response:
        """Wait for the pictures; a client that goes away gives them up."""
        body = await json_of(request, service)
        sent_image, sent_mask = pictures_in(body)
        image = await picture_of(sent_image, "init_images", service)
        mask = await picture_of(sent_mask, "mask", service)
        checkpoint = _checkpoint(service)
        house = House(checkpoint, service.limits, service.settings.safety)
        asked = await service.aside(ask, body, image, mask, house)
        work = service.start(asked.request, lease=lease_of(request))
        with underway.entry(request, work) as entry:
            result = await while_connected(request, work.result())
        shown = await _encoded(service, result) if asked.fields["send_images"] else []
        told = await service.aside(answer_body, asked, result, shown, checkpoint, stamp=entry.stamp)
        return Response(told, media_type="application/json")

    @router.get("/progress", summary="How far the caller's own work is (A1111)")
    async def progress(request: Request, *, skip_current_image: bool = False) -> dict[str, Any]:
        """Tell of the oldest of it; `current_image` is there where it may be shown."""
        entries = underway.of(request)
        preview = await service.preview(entries[0].work) if entries and not skip_current_image else None
        return {**state_of(entries), "current_image": None if preview is None else picture_text(preview)}

    @router.post("/interrupt", summary="End the caller's own work (A1111)")
    async def interrupt(request: Request) -> dict[str, Any]:
        """Give it up before its next step; whoever waits for it gets an error, never half a picture."""
        underway.interrupt(request)
        return {}


def _show(router: APIRouter, service: Service) -> None:
    @router.get("/sd-models", summary="The one checkpoint (A1111)")
    async def sd_models() -> list[dict[str, Any]]:
        return [_checkpoint(service).to_dict()]

    @router.get("/options", summary="Options that matter to a picture (A1111)")
    async def options() -> dict[str, Any]:
        return options_of(_checkpoint(service))

    @router.post(
        "/options", summary="Set options to what they are (A1111)", openapi_extra=_body({"type": "object"})
    )
    async def set_options(request: Request) -> None:
        """Refuse whatever would change one."""
        check_unchanged(await json_of(request, service), _checkpoint(service))

    @router.post("/png-info", summary="What a picture says of its making (A1111)", openapi_extra=_body(_PICTURE))
    async def png_info(request: Request) -> dict[str, Any]:
        body = await json_of(request, service)
        file = await picture_of(body.get("image"), "image", service)
        return await service.aside(_told_by, file)

    for name, found in _LISTS.items():
        router.add_api_route(f"/{name}", partial(_give, found), summary=f"The {name} that there are (A1111)")


async def _give(found: Any) -> Any:
    return found


async def _encoded(service: Service, result: InpaintResult) -> list[bytes]:
    """Return the pictures as A1111 has them: with the text `parameters`, and nothing of the machine."""
    fills = tuple(replace(fill, metadata=replace(fill.metadata, record={})) for fill in result.fills)
    told = replace(result, fills=fills)
    return [await service.encode(told, index=index, metadata=True) for index in range(len(fills))]


def _told_by(file: bytes) -> dict[str, Any]:
    """Return what a picture says of its making, in the form of `POST /sdapi/v1/png-info`."""
    found = read_metadata(file) or ResultMetadata()
    parsed = parse_parameters(found.parameters)
    settings = dict(parsed.settings)
    if size := re.fullmatch(r"(\d+)x(\d+)", settings.get("Size", "")):
        del settings["Size"]
        settings |= {"Size-1": size[1], "Size-2": size[2]}
    return {
        "info": found.parameters,
        "items": {},
        "parameters": {"Prompt": parsed.prompt, "Negative prompt": parsed.negative_prompt, **settings},
    }


def _checkpoint(service: Service) -> Checkpoint:
    model = service.model
    return Checkpoint(service.model_name, model.content_hash, sees_the_mask=model.kind == "concat")


def _body(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


_PICTURE = {"type": "object", "properties": {"image": {"type": "string"}}, "required": ["image"]}

DIALECT = Dialect(
    name="a1111",
    prefixes=("/sdapi/",),
    work=frozenset({f"POST {_PREFIX}/img2img"}),
    routes=routes,
    words=words,
)
