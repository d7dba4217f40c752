"""Bodies for A1111's img2img, for its tests."""

import json
from typing import Any

import httpx
from tests.serve.pictures import hole, photo, png, text
from tests.serve.serving import Served

from retouch.request import DEFAULT_LIMITS
from retouch.serve.dialects.a1111_asked import Asked, House, ask, pictures_in
from retouch.serve.dialects.a1111_options import Checkpoint
from retouch.serve.pictures import picture_bytes

IMAGE, MASK = photo(), hole()
CHECKPOINT = Checkpoint("tiny.safetensors", "0123456789" + "ab" * 27, sees_the_mask=True)
HOUSE = House(CHECKPOINT, DEFAULT_LIMITS, "black")


def body(**fields: Any) -> dict[str, Any]:
    """Return a body that can be run, with more fields, or others."""
    return {"init_images": [text(png(IMAGE))], "mask": text(png(MASK)), "prompt": "a cat", "steps": 2} | fields


def post(running: Served, path: str = "img2img", **more: Any) -> httpx.Response:
    """Send something to a server."""
    return httpx.post(f"{running.url}/sdapi/v1/{path}", timeout=60, **more)


def asked(**fields: Any) -> Asked:
    """Read such a body, as the route does."""
    sent = json.loads(json.dumps(body(**fields)))
    image, mask = (picture_bytes(one, field="mask", limits=DEFAULT_LIMITS) for one in pictures_in(sent))
    return ask(sent, image, mask, HOUSE)
