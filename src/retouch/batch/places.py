"""A file or folder wherever it is: on this machine, or at an address that `fsspec` knows."""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self, cast

from retouch.errors import BadInput
from retouch.foreign import foreign_as

BUFFER_BYTES = 2**20
HEAD_BYTES = 2**16
_EDGE_BYTES = 2**20
_DIGITS = 16
_VERSIONS = ("md5Hash", "ETag", "etag", "LastModified", "last_modified", "updated", "mtime", "created")
"""What stores call a hash, a version or a time of an object: the surest first."""


def is_address(text: str) -> bool:
    """Tell an address (`s3://bucket/x`) from a path of this machine."""
    return "://" in text


@dataclass(frozen=True, slots=True)
class Place:
    """A file or folder.

    Attributes:
        address: a path of this machine, or an address.
        fs: the `fsspec` filesystem that holds it.
        path: its name there.
    """

    address: str
    fs: Any
    path: str

    @classmethod
    def of(cls, address: str) -> Self:
        """Find the filesystem of an address.

        Raises:
            BadInput: nobody knows how to reach it.
        """
        import fsspec
        from fsspec.core import url_to_fs

        if not is_address(address):  # and never read as one: `a::b` is a name like any other
            address = str(Path(address).absolute())
            return cls(address, fsspec.filesystem("file"), address)
        unknown = BadInput(
            f"{address} cannot be reached", hint="is the package for this kind of address installed?"
        )
        with foreign_as(unknown):
            fs, path = url_to_fs(address)
        return cls(address, fs, path)

    @property
    def is_local(self) -> bool:
        return not is_address(self.address)

    @property
    def name(self) -> str:
        return self.path.rstrip("/").rpartition("/")[2]

    @property
    def suffix(self) -> str:
        return Path(self.name).suffix.lower()

    @property
    def folder(self) -> str:
        """The address of the folder that holds it."""
        return self.address.rstrip("/").rpartition("/")[0]

    @property
    def is_folder(self) -> bool:
        with self._reaching():
            return bool(self.fs.isdir(self.path))

    @property
    def size_bytes(self) -> int:
        with self._reaching():
            return int(self.fs.info(self.path)["size"] or 0)

    def files(self) -> list["Place"]:
        """Return the files of a folder in the order of their names; hidden ones and folders are left out."""
        return [self / name for name in self.listing()]

    def listing(self) -> dict[str, Mapping[str, Any]]:
        """Return what the filesystem tells of each of `files`, by name."""
        with self._reaching():
            entries = [one for one in self.fs.ls(self.path, detail=True) if one["type"] == "file"]
        by_name = {str(one["name"]).rstrip("/").rpartition("/")[2]: one for one in entries}
        return {name: by_name[name] for name in sorted(by_name) if not name.startswith(".")}

    def __truediv__(self, name: str) -> "Place":
        return Place(f"{self.address.rstrip('/')}/{name}", self.fs, f"{self.path.rstrip('/')}/{name}")

    def open(self) -> IO[bytes]:
        """Open it for reading.

        Raises:
            BadInput: it is not there, or cannot be opened.
        """
        with self._reaching():
            if self.is_local:
                return Path(self.path).open("rb", buffering=BUFFER_BYTES)
            return cast("IO[bytes]", io.BufferedReader(self.fs.open(self.path, "rb"), BUFFER_BYTES))

    def fingerprint(self) -> dict[str, Any]:
        """Return what tells a file from another: size, hash of its first and last MiB, its time if there is more.

        Raises:
            BadInput: it cannot be read.
        """
        with self._reaching():
            info = self.fs.info(self.path)
            size = int(info["size"] or 0)
            digest = hashlib.sha256(self.fs.read_block(self.path, 0, min(size, _EDGE_BYTES)))
            if size > _EDGE_BYTES:
                digest.update(self.fs.read_block(self.path, max(_EDGE_BYTES, size - _EDGE_BYTES), _EDGE_BYTES))
        facts: dict[str, Any] = {"size_bytes": size, "edges_sha256": digest.hexdigest()}
        if size > 2 * _EDGE_BYTES:  # nobody looks at its middle
            facts["changed"] = str(info.get("mtime") or info.get("LastModified") or info.get("etag") or "")
        return facts

    def mark(self, told: Mapping[str, Any]) -> str:
        """Return what tells a file from another of its name, cheaply: a folder may hold very many.

        On this machine that is its size and a hash of its beginning, which a copy of the folder shares; at an
        address, where every look is a request, what is told there of its version.

        Args:
            told: what `listing` says of it.
        Raises:
            BadInput: it cannot be read.
        """
        size = int(told.get("size") or 0)
        if not self.is_local:
            return f"{size} {next((told[key] for key in _VERSIONS if told.get(key)), '')}"
        with self._reaching():
            digest = hashlib.sha256(self.fs.read_block(self.path, 0, min(size, HEAD_BYTES)))
        return f"{size} {digest.hexdigest()[:_DIGITS]}"

    def _reaching(self) -> Any:
        return foreign_as(BadInput(f"{self.address} cannot be read", hint="is it there, and may you read it?"))
