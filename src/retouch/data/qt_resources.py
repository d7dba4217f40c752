"""Read Qt resource files (.rcc), which some packages keep their pictures in."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from retouch.errors import BadInput

_COMPRESSED, _FOLDER, _OTHER_COMPRESSION = 1, 2, 4


class QtResources:
    """The files inside one `.rcc`: a tree of names over blobs, each plain or deflated."""

    def __init__(self, path: Path) -> None:
        """Read the tree of `path`.

        Raises:
            BadInput: it is no resource file, or damaged.
        """
        self._name = path.name
        self._data = path.read_bytes()
        try:
            if self._data[:4] != b"qres":
                raise BadInput(f"{path.name} is no Qt resource file")
            version, self._tree, self._blobs, self._names = struct.unpack_from(">4I", self._data, 4)
            self._node = 14 if version < 2 else 22
            self._files = dict(self._walk(0, ""))
        except (struct.error, UnicodeDecodeError, RecursionError) as error:
            raise BadInput(f"{path.name} is damaged: {error}") from error

    def read(self, name: str) -> bytes:
        """Return the bytes of one file.

        Raises:
            BadInput: there is none, or it cannot be decompressed.
        """
        if name not in self._files:
            raise BadInput(f"{self._name} has no {name}", hint="is it another version?")
        flags, offset = self._files[name]
        (length,) = struct.unpack_from(">I", self._data, self._blobs + offset)
        start = self._blobs + offset + 4
        blob = self._data[start : start + length]
        try:
            if flags & _OTHER_COMPRESSION:
                raise zlib.error("a compression other than zlib")
            # Qt writes the plain length before the deflated bytes.
            return zlib.decompress(blob[4:]) if flags & _COMPRESSED else blob
        except zlib.error as error:
            raise BadInput(f"{self._name}: {name} cannot be read: {error}") from error

    def _walk(self, index: int, prefix: str) -> Iterator[tuple[str, tuple[int, int]]]:
        node = self._tree + index * self._node
        name_at, flags = struct.unpack_from(">IH", self._data, node)
        name = self._text(name_at) if index else ""
        if not flags & _FOLDER:
            (offset,) = struct.unpack_from(">I", self._data, node + 10)
            yield prefix + name, (flags, offset)
            return
        count, first = struct.unpack_from(">II", self._data, node + 6)
        for child in range(first, first + count):
            yield from self._walk(child, f"{prefix}{name}/" if name else prefix)

    def _text(self, offset: int) -> str:
        (length,) = struct.unpack_from(">H", self._data, self._names + offset)
        start = self._names + offset + 6
        return self._data[start : start + 2 * length].decode("utf-16-be")
