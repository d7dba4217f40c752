"""The dialect of AUTOMATIC1111's web UI: `/sdapi/v1/img2img` for inpainting, and what its clients ask beside it.

Its sources: the stable-diffusion-webui, modules api/api and api/models. Fields and their decisions stand in
`a1111_fields`, options in `a1111_options`.
"""

import re
from dataclasses import replace
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response

from retouch.errors import InvalidField, RetouchError
from retouch.imaging.metadata import ResultMetadata, read_metadata
from retouch.imaging.parameters import parse_parameters
from retouch.result import InpaintResult
from retouch.serve.asking import lease_of, while_connected
from retouch.serve.dialect import Answer, Dialect
from retouch.serve.dialects.a1111_asked import House, ask
from retouch.serve.dialects.a1111_fields import in_their_words, schema
from retouch.serve.dialects.a1111_info import answer_body
from retouch.serve.dialects.a1111_options import Checkpoint, check_unchanged, options_of
from retouch.serve.dialects.a1111_samplers import samplers, schedulers
from retouch.serve.dialects.a1111_underway import Underway
from retouch.serve.pictures import picture_bytes
from retouch.serve.service import Service
from retouch.serve.strict_json import JsonLimits, parse_json_object

PREFIX = "/sdapi/v1"
# What clients list, and a server of one checkpoint that loads nothing by name has none of.
_EMPTY: dict[str, Any] = {
    "cmd-flags": {"api": True, "nowebui": True},
    "embeddings": {"loaded": {}, "skipped": {}},
    "extensions": [],
    "face-restorers": [],
    "hypernetworks": [],
    "latent-upscale-modes": [],
    "loras": [],
    "prompt-styles": [],
    "realesrgan-models": [],
    "scripts": {"txt2img": [], "img2img": []},
    "sd-vae": [],
    "upscalers": [],
}


def routes(service: Service) -> APIRouter:
    """Make the routes."""
    router = APIRouter(prefix=PREFIX)
    _work(router, service)
    _lists(router, service)
    return router


def answer(error: RetouchError) -> Answer:
    """Word an error as A1111 does, whose clients show `detail` or `errors`; its status stays honest."""
    told = in_their_words(f"{error} ({error.hint})" if error.hint else str(error))
    return Answer(error.status, {"error": type(error).__name__, "detail": told, "body": "", "errors": told})


def _work(router: APIRouter, service: Service) -> None:
    underway = Underway()

    @router.post("/img2img", summary="Repaint the masked part of a picture", openapi_extra=_body_of(schema()))
    async def img2img(request: Request) -> Response:
        """Wait for the pictures; a client that goes away gives them up."""
        checkpoint = _checkpoint(service)
        house = House(checkpoint, service.limits, service.settings.safety, _json_limits(service))
        asked = await service.aside(ask, await request.body(), house)
        work = service.start(asked.request, lease=lease_of(request))
        with underway.entry(request, work) as entry:
            result = await while_connected(request, work.result())
        files = await _encoded(service, result) if asked.fields["send_images"] else []
        body = await service.aside(answer_body, asked, result, files, checkpoint, stamp=entry.stamp)
        return Response(body, media_type="application/json")

    @router.get("/progress", summary="How far the caller's own work is")
    async def progress(request: Request) -> dict[str, Any]:
        """`current_image` is null: what is half done was judged by nobody."""
        return underway.progress(request)

    @router.post("/interrupt", summary="End the caller's own work")
    async def interrupt(request: Request) -> dict[str, Any]:
        """Give it up before its next step; whoever waits for it gets an error, never half a picture."""
        underway.interrupt(request)
        return {}


def _lists(router: APIRouter, service: Service) -> None:
    @router.get("/sd-models", summary="The one checkpoint")
    async def sd_models() -> list[dict[str, Any]]:
        return [_checkpoint(service).to_dict()]

    @router.get("/options", summary="Options that matter to a picture")
    async def options() -> dict[str, Any]:
        return options_of(_checkpoint(service))

    @router.post(
        "/options", summary="Set options: only to what they are", openapi_extra=_body_of({"type": "object"})
    )
    async def set_options(request: Request) -> None:
        sent = await service.aside(parse_json_object, await request.body(), limits=_json_limits(service))
        check_unchanged(sent, _checkpoint(service))

    @router.post("/png-info", summary="What a picture says of its making", openapi_extra=_body_of(_PNG_INFO))
    async def png_info(request: Request) -> dict[str, Any]:
        return await service.aside(_png_info, await request.body(), service)

    for name, found in {"samplers": samplers(), "schedulers": schedulers(), **_EMPTY}.items():
        router.add_api_route(f"/{name}", partial(_give, found), summary=f"The {name} that there are")


async def _encoded(service: Service, result: InpaintResult) -> list[bytes]:
    """Return the pictures as A1111 has them: with the text `parameters`, and nothing of the machine."""
    fills = [replace(fill, metadata=replace(fill.metadata, record={})) for fill in result.fills]
    told = replace(result, fills=tuple(fills))
    return [await service.encode(told, index=index, metadata=True) for index in range(len(fills))]


_PNG_INFO = {"type": "object", "properties": {"image": {"type": "string"}}, "required": ["image"]}


def _png_info(data: bytes, service: Service) -> dict[str, Any]:
    text = parse_json_object(data, limits=_json_limits(service)).get("image")
    if not isinstance(text, str):
        raise InvalidField("image", "must be a picture in base64")
    found = read_metadata(picture_bytes(text, field="image", limits=service.limits)) or ResultMetadata()
    parsed = parse_parameters(found.parameters)
    settings = dict(parsed.settings)
    if size := re.fullmatch(r"(\d+)x(\d+)", settings.pop("Size", "")):
        settings |= {"Size-1": size[1], "Size-2": size[2]}
    return {
        "info": found.parameters,
        "items": {"retouch": found.record_json()} if found.record else {},
        "parameters": {"Prompt": parsed.prompt, "Negative prompt": parsed.negative_prompt, **settings},
    }


def _checkpoint(service: Service) -> Checkpoint:
    return Checkpoint.of(service.fleet.inpainters[0].bundle)


def _json_limits(service: Service) -> JsonLimits:
    return JsonLimits(depth=service.settings.json_depth)


async def _give(found: Any) -> Any:
    return found


def _body_of(schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


DIALECT = Dialect(
    name="a1111",
    prefixes=("/sdapi/",),
    work=frozenset({f"POST {PREFIX}/img2img"}),
    routes=routes,
    answer=answer,
)
