"""A client of tables over HTTP, as the notebooks of Azure ML write it, and the pictures that it sends."""

import base64
import io
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
SIDE = 32


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    url: str,
    document: Any = None,
    *,
    content_type: str | None = "application/json",
    headers: Mapping[str, str] | None = None,
    method: str | None = None,
) -> Reply:
    """Send a document, or bytes as they are."""
    body = document if document is None or isinstance(document, bytes) else str.encode(json.dumps(document))
    sent = dict(headers or {}) | ({"Content-Type": content_type} if content_type is not None else {})
    request = urllib.request.Request(url, body, sent, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return Reply(response.status, response.headers, response.read())
    except urllib.error.HTTPError as error:
        return Reply(error.code, error.headers, error.read())


def photo(seed: int = 0, *, width: int = SIDE, height: int = SIDE) -> Pixels:
    """Return a picture of noise."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def square_mask(*, width: int = SIDE, height: int = SIDE) -> Pixels:
    """Return a mask whose white square is to be repainted."""
    mask = np.zeros((height, width), np.uint8)
    mask[height // 4 : height // 2, width // 4 : width // 2] = 255
    return mask


def encoded(pixels: Pixels) -> str:
    """Encode as the notebook does: with a line break every 76 characters."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.encodebytes(file.getvalue()).decode("utf-8")


def decoded(text: str) -> Pixels:
    """Decode as the notebook does."""
    image = Image.open(io.BytesIO(base64.b64decode(text)))
    assert image.format == "PNG"
    return np.asarray(image)


def row(seed: int = 0, **cells: Any) -> dict[str, Any]:
    """Return a row that can be painted."""
    return {"prompt": "a red hat", "image": encoded(photo(seed)), "mask_image": encoded(square_mask())} | cells


def table(*rows: Mapping[str, Any], **beside: Any) -> dict[str, Any]:
    """Return a split table of rows, with what stands beside them."""
    return {"columns": [*rows[0]], "data": [dict(row) for row in rows], **beside}


def assert_repainted_only_where_the_mask_is_white(text: str, image: Pixels, mask: Pixels) -> None:
    painted = decoded(text)
    assert painted.shape == image.shape
    assert np.array_equal(painted[mask < 128], image[mask < 128])
    assert not np.array_equal(painted[mask >= 128], image[mask >= 128])
