"""The page at `/`: its files, which load nothing from elsewhere and hold nothing inline.

They are public: they tell nothing of this server, and the page itself asks for a key where one is needed.
"""

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Request, Response

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
}
_INDEX = "index.html"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file; `etag` changes with its bytes."""

    data: bytes
    media_type: str
    etag: str

    @classmethod
    def of(cls, file: Traversable) -> "Asset":
        """Read a file."""
        data = file.read_bytes()
        return cls(data, _TYPES[file.name.rpartition(".")[2]], f'"{hashlib.sha256(data).hexdigest()[:32]}"')


def read_assets() -> dict[str, Asset]:
    """Return the page's files by the path that they are asked for by."""
    found = dict(_walk(files("retouch.serve") / "static", "/static"))
    return {"/": found.pop(f"/static/{_INDEX}"), **found}


def page_routes(assets: dict[str, Asset]) -> APIRouter:
    """Make one route for all of them; browsers ask each time whether a file is still the same."""
    router = APIRouter()

    async def asset(request: Request) -> Response:
        found = assets[request.scope["route"].path]
        headers = {"etag": found.etag, "cache-control": "no-cache"}
        if found.etag in request.headers.get("if-none-match", ""):
            # With its type: its headers replace those of the copy, the policy that follows from the type included.
            return Response(status_code=304, headers=headers, media_type=found.media_type)
        return Response(found.data, media_type=found.media_type, headers=headers)

    for path in assets:
        router.add_api_route(path, asset, methods=["GET", "HEAD"], include_in_schema=False)
    return router


def _walk(folder: Traversable, path: str) -> list[tuple[str, Asset]]:
    found: list[tuple[str, Asset]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _walk(entry, f"{path}/{entry.name}")
        elif entry.name.rpartition(".")[2] in _TYPES:
            found.append((f"{path}/{entry.name}", Asset.of(entry)))
    return found
