"""What a client wants made, and how a store keeps it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from retouch.imaging.choices import FileFormat
from retouch.jobs.job import Blob, JobDraft, JobKind
from retouch.request import InpaintRequest

PICTURES = ("image", "mask_image")
_OUTPUT = ("format", "quality")


@dataclass(frozen=True, slots=True)
class Order:
    """What a client wants made.

    Attributes:
        request: with its pictures as encoded bytes.
        format, quality: of the files of its result.
    """

    request: InpaintRequest
    format: FileFormat = "PNG"
    quality: int | None = None

    def draft(self, owner: str, *, key: str | None, is_awaited: bool = False) -> JobDraft:
        """Return it as what a store keeps.

        Its fingerprint is of what was asked, not of the bytes that asked for it: a form that is sent again has
        another boundary.
        """
        told = {
            one.name: getattr(self.request, one.name) for one in fields(InpaintRequest) if one.name not in PICTURES
        }
        blobs = [
            Blob(name, "application/octet-stream", data)
            for name in PICTURES
            if isinstance(data := getattr(self.request, name), bytes)
        ]
        told |= {name: getattr(self, name) for name in _OUTPUT}
        digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
        for blob in blobs:
            digest.update(f"\n{blob.name} {len(blob.data)}\n".encode() + blob.data)
        fingerprint, is_lost_with_us = digest.hexdigest(), is_awaited and key is None
        return JobDraft(owner, JobKind.INPAINT, told, tuple(blobs), key, fingerprint, is_awaited=is_lost_with_us)

    @classmethod
    def of(cls, told: Mapping[str, Any], pictures: Mapping[str, bytes]) -> "Order":
        """Return what a draft was made of."""
        asked: dict[str, Any] = {**told, **pictures}
        output = {name: asked.pop(name) for name in _OUTPUT}
        return cls(InpaintRequest(**asked), **output)
