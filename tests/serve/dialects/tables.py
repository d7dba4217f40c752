"""Tables as clients of Azure ML and MLflow send them, and a client that is written like the notebooks' own."""

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any

from tests.serve.pictures import hole, photo, png

IMAGE, MASK = photo(), hole()


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
    content_type: str = "application/json",
    method: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Send a document, or bytes as they are, and take any status for an answer."""
    body = document if document is None or isinstance(document, bytes) else str.encode(json.dumps(document))
    sent = {"Content-Type": content_type, **(headers or {})}
    request = urllib.request.Request(url, body, sent, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return Reply(response.status, response.headers, response.read())
    except urllib.error.HTTPError as error:
        return Reply(error.code, error.headers, error.read())


def notebook_text(data: bytes) -> str:
    """Encode as the notebooks do: with a line break every 76 characters, and at the end."""
    return base64.encodebytes(data).decode("utf-8")


def row(seed: int = 0, **cells: Any) -> dict[str, Any]:
    """Return a row with the picture `photo(seed=seed)`; None leaves a cell out."""
    image, mask = notebook_text(png(photo(seed=seed))), notebook_text(png(MASK))
    cells = {"image": image, "mask_image": mask, "prompt": "a red hat", **cells}
    return {name: cell for name, cell in cells.items() if cell is not None}


def split(*rows: Mapping[str, Any], **beside: Any) -> dict[str, Any]:
    """Return a table of rows as pandas splits it, with what stands beside them."""
    return {"columns": [*rows[0]], "data": [dict(one) for one in rows], **beside}


def quick(*rows: Mapping[str, Any], **parameters: Any) -> dict[str, Any]:
    """Return the body of a request for `/score` that is soon answered."""
    return {"input_data": split(*(rows or [row()]), parameters={"num_inference_steps": 1, **parameters})}
