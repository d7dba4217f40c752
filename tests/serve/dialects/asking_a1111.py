"""Bodies for A1111's img2img, for its tests."""

import base64
import io
import json
from typing import Any

import numpy as np
from PIL import Image

from retouch.request import DEFAULT_LIMITS
from retouch.serve.dialects.a1111_asked import Asked, House, ask
from retouch.serve.dialects.a1111_options import Checkpoint
from retouch.serve.strict_json import JsonLimits

SIZE = (48, 40)
CHECKPOINT = Checkpoint("tiny.safetensors", "0123456789" + "ab" * 27, sees_the_mask=True)
HOUSE = House(CHECKPOINT, DEFAULT_LIMITS, "black", JsonLimits())


def picture(seed: int = 1, size: tuple[int, int] = SIZE) -> Image.Image:
    """Return a picture of noise."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8))


def marked(size: tuple[int, int] = SIZE) -> np.ndarray:
    """Return what is repainted: a box, True within."""
    pixels = np.zeros(size[::-1], bool)
    pixels[8:24, 12:36] = True
    return pixels


def mask(size: tuple[int, int] = SIZE) -> Image.Image:
    """Return it as a picture, white within."""
    return Image.fromarray(marked(size).astype(np.uint8) * 255)


def encoded(image: Image.Image) -> str:
    """Return a picture as base64 of a PNG file."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def body(**fields: Any) -> dict[str, Any]:
    """Return a body that can be run, with more fields, or others; None takes one out."""
    made = {"init_images": [encoded(picture())], "mask": encoded(mask()), "prompt": "a cat", "steps": 2} | fields
    return {name: value for name, value in made.items() if value is not None}


def asked(**fields: Any) -> Asked:
    """Read such a body."""
    return ask(json.dumps(body(**fields)).encode(), HOUSE)
