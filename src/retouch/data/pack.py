"""One file of many small encoded pictures with a JSON record each, free of pickle."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Record = dict[str, Any]


def encode(pixels: NDArray[np.uint8], *, quality: int = 92) -> bytes:
    """Encode (H, W, 3) or (H, W, 4) bytes as WebP; alpha is kept without loss."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", quality=quality, method=4, alpha_quality=100)
    return buffer.getvalue()


def decode(data: bytes, mode: str) -> NDArray[np.uint8]:
    """Decode a packed picture to bytes in `mode` ('RGB' or 'RGBA')."""
    with Image.open(io.BytesIO(data), formats=("WEBP", "PNG")) as picture:
        return np.asarray(picture.convert(mode))


def write_pack(path: Path, blobs: Sequence[bytes], records: Sequence[Record]) -> None:
    """Write `path` (.npz) and, beside it, the same records as readable JSON.

    The file appears whole or not at all, so that a running reader never opens half of it.
    """
    if len(blobs) != len(records):
        raise ValueError(f"{len(blobs)} pictures but {len(records)} records")
    hashed = [
        {**record, "sha256": hashlib.sha256(blob).hexdigest()} for blob, record in zip(blobs, records, strict=True)
    ]
    text = json.dumps(hashed, indent=1, ensure_ascii=False)
    offsets = np.cumsum([0, *map(len, blobs)], dtype=np.int64)
    partial = path.with_name(f".{path.name}.partial.npz")
    np.savez(
        partial,
        data=np.frombuffer(b"".join(blobs), dtype=np.uint8),
        offsets=offsets,
        records=np.frombuffer(text.encode(), dtype=np.uint8),
    )
    partial.replace(path)
    path.with_suffix(".json").write_text(text + "\n", encoding="utf-8")


def read_pack(path: Path) -> tuple[list[bytes], list[Record]]:
    """Read what `write_pack` wrote; pickled arrays are refused.

    Raises:
        ValueError: the file holds pickled data, or its parts do not fit together.
    """
    with np.load(path, allow_pickle=False) as archive:
        data, offsets = archive["data"].tobytes(), archive["offsets"]
        records: list[Record] = json.loads(archive["records"].tobytes())
    if len(offsets) != len(records) + 1 or int(offsets[-1]) != len(data):
        raise ValueError(f"{path.name} is damaged: its index does not fit its data")
    blobs = [data[a:b] for a, b in pairwise(offsets.tolist())]
    return blobs, records
