"""What a client wants of a batch: where its rows are, and how they become pictures."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from retouch.batch.painter import Recipe
from retouch.batch.rows import Columns
from retouch.errors import UnsupportedMedia
from retouch.imaging.choices import FileFormat

TableKind = Literal["csv", "tsv", "jsonl", "tar"]
TABLE_KINDS: tuple[TableKind, ...] = ("csv", "tsv", "jsonl", "tar")
"""What is read from strangers: a page of a Parquet file can inflate to 2 GiB before anybody sees its size."""
_TAR_MAGIC, _TAR_MAGIC_AT = b"ustar", 257
_NOT_READ = {
    b"PAR1": "Parquet",
    b"PK\x03\x04": "zip",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}


@dataclass(frozen=True, slots=True)
class Sent:
    """An input that came with the request."""

    kind: TableKind
    data: bytes = field(repr=False)

    @property
    def name(self) -> str:
        return f"input.{self.kind}"


@dataclass(frozen=True, slots=True)
class BatchOrder:
    """A batch as it is asked for.

    Attributes:
        input: what was sent, or a path below the declared root.
        fields: fields of a request for rows that do not name them; `safety` is settled.
        mask_image: the mask of rows that name none, encoded, or None.
        seed: of the run; rows without a seed get theirs from it.
        keep_extra: take columns along that nobody knows.
        max_failures: more failed rows end the batch; None is any.
        format, quality: of the pictures' files.
    """

    input: Sent | str
    fields: Mapping[str, Any]
    mask_image: bytes | None = field(default=None, repr=False)
    seed: int = 0
    keep_extra: bool = False
    max_failures: int | None = None
    format: FileFormat = "PNG"
    quality: int | None = None

    @property
    def columns(self) -> Columns:
        return Columns(keep_extra=self.keep_extra)

    @property
    def size_bytes(self) -> int:
        """Bytes that are kept of what was sent."""
        table = len(self.input.data) if isinstance(self.input, Sent) else 0
        return table + len(self.mask_image or b"")

    def told(self) -> dict[str, Any]:
        """Return all of it but the bytes, as JSON."""
        return {
            "input": {"path": self.input} if isinstance(self.input, str) else {"sent": self.input.name},
            "fields": dict(self.fields),
            "seed": self.seed,
            "keep_extra": self.keep_extra,
            "max_failures": self.max_failures,
            "format": self.format,
            "quality": self.quality,
        }

    def fingerprint(self) -> str:
        """Return what tells it from another order."""
        digest = hashlib.sha256(json.dumps(self.told(), sort_keys=True).encode())
        table = self.input.data if isinstance(self.input, Sent) else b""
        for data in (table, self.mask_image or b""):
            digest.update(f"\n{len(data)}\n".encode())
            digest.update(data)
        return digest.hexdigest()


def recipe_of(told: Mapping[str, Any], mask_image: bytes | None) -> Recipe:
    """Return how rows become pictures, from what was kept of an order."""
    return Recipe(
        fields=told["fields"],
        mask_image=mask_image,
        seed=told["seed"],
        columns=Columns(keep_extra=told["keep_extra"]),
        format=told["format"],
        quality=told["quality"],
    )


def kind_of(data: bytes) -> TableKind:
    """Tell what a table is by its beginning; a text is CSV unless it begins as an object.

    Raises:
        UnsupportedMedia: it is packed in a way that is not read here.
    """
    for magic, name in _NOT_READ.items():
        if data.startswith(magic):
            raise UnsupportedMedia(f"the input is a {name} file", hint=f"read are: {', '.join(TABLE_KINDS)}")
    if data[_TAR_MAGIC_AT:].startswith(_TAR_MAGIC):
        return "tar"
    return "jsonl" if data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") else "csv"
