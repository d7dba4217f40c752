"""What a result says about its own making: written beside the pixels, read back within limits."""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from retouch.errors import ImageError
from retouch.foreign import foreign_as
from retouch.imaging.exif_block import MAX_TEXT_BYTES, read_exif
from retouch.imaging.headers import read_header
from retouch.imaging.picture import Picture
from retouch.imaging.png_chunks import chunks, inflate
from retouch.imaging.tiff_header import DESCRIPTION_TAG, RECORD_TAG

PARAMETERS_KEY, RECORD_KEY = "parameters", "retouch"
_TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
_MAX_CHUNK_BYTES = MAX_TEXT_BYTES + 100
"""A text, and its keyword and language."""


@dataclass(frozen=True, slots=True)
class ResultMetadata:
    """The two texts of a result.

    Attributes:
        parameters: in A1111's form (`format_parameters`), or "".
        record: our own: request, model, versions, region, mask; plain JSON values.
    """

    parameters: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)

    def record_json(self) -> str:
        """Return the record as JSON, the same text for the same values; "" where it is empty."""
        if not self.record:
            return ""
        return json.dumps(self.record, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def read_metadata(data: bytes) -> ResultMetadata | None:
    """Read the metadata of an encoded picture without decoding its pixels.

    Texts larger than a few MiB, and JSON that is not an object, are treated as absent.

    Returns:
        What was found, or None where there is neither text.

    Raises:
        ImageFormatError, ImageError: the bytes are not a picture.
    """
    header = read_header(data)
    if header.format == "PNG":
        parameters, record = _from_png(data)
    elif header.tiff is not None:
        parameters, record = _from_tiff(header.tiff.texts)
    elif header.avif is not None:
        parameters, record = read_exif(header.avif.exif)
    else:
        parameters, record = read_exif(_exif_of(data, header.format))
    found = ResultMetadata(parameters, _parse_record(record))
    return found if found.parameters or found.record else None


def pixel_hash(picture: Picture) -> str:
    """Return the SHA-256, in hex, of shape, depth and samples, alpha included; of nothing else."""
    digest = hashlib.sha256()
    for samples in (picture.pixels, picture.alpha):
        if samples is None:
            digest.update(b"none;")
            continue
        digest.update(f"{samples.dtype.name}{samples.shape};".encode())
        little = samples.astype(samples.dtype.newbyteorder("<"), copy=False)
        digest.update(np.ascontiguousarray(little).data)
    return digest.hexdigest()


def _parse_record(record: bytes) -> dict[str, Any]:
    if not record or len(record) > MAX_TEXT_BYTES:
        return {}
    try:
        parsed = json.loads(record)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _from_png(data: bytes) -> tuple[str, bytes]:
    found: dict[str, bytes] = {}
    for name, start, end in chunks(data):
        if name not in _TEXT_CHUNKS or end - start > _MAX_CHUNK_BYTES:
            continue
        keyword, separator, rest = data[start:end].partition(b"\0")
        key = keyword.decode("latin-1")
        if separator and key in (PARAMETERS_KEY, RECORD_KEY) and key not in found:
            found[key] = _png_text(name, rest)
    return found.get(PARAMETERS_KEY, b"").decode("utf-8", "replace"), found.get(RECORD_KEY, b"")


def _png_text(name: bytes, rest: bytes) -> bytes:
    """Return the text of a chunk in UTF-8, empty where it is broken or inflates to too much."""
    if name == b"tEXt":
        return rest.decode("latin-1").encode()
    if name == b"zTXt":
        return (inflate(rest[1:], MAX_TEXT_BYTES) or b"").decode("latin-1").encode()
    if len(rest) < 2:
        return b""
    _language, _, after = rest[2:].partition(b"\0")
    _translated, _, text = after.partition(b"\0")
    return (inflate(text, MAX_TEXT_BYTES) or b"") if rest[0] else text


def _exif_of(data: bytes, kind: str) -> bytes:
    broken = ImageError("the picture file is broken", hint="save it again")
    with foreign_as(broken), Image.open(io.BytesIO(data), formats=[kind]) as image:
        exif = image.info.get("exif")
    return exif.removeprefix(b"Exif\0\0") if isinstance(exif, bytes) else b""


def _from_tiff(texts: Mapping[int, bytes]) -> tuple[str, bytes]:
    description = texts.get(DESCRIPTION_TAG, b"")[:MAX_TEXT_BYTES]
    return description.rstrip(b"\0").decode("utf-8", "replace"), texts.get(RECORD_TAG, b"")
