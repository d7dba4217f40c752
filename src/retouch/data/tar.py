"""The members of a tar stream, in bounded memory and in time that the file's own bytes account for.

The standard library's reader takes a header's numbers at their word: it keeps long names whole, follows chains of
headers by recursion, and counts to sizes of thirty digits. This one reads what shards need: plain files under
their names. Source: POSIX.1-2017, `pax`, sections on the ustar and pax formats; GNU tar manual, appendix D.
"""

import bz2
import gzip
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Protocol, cast

from retouch.foreign import foreign_as

MAX_HEADER_BYTES = 2**20
MAX_HEADERS_IN_A_ROW = 8
MOST_INFLATION = 20
_INFLATION_SLACK_BYTES = 64 * 2**20
_BLOCK, _SKIP_BYTES = 512, 2**20
_PLAIN, _FOLDER = (b"0", b"\0", b"7"), b"5"
_WITHOUT_CONTENT = (b"1", b"2", b"3", b"4", b"5", b"6")
_OCTAL = re.compile(rb"[ \0]*([0-7]*)[ \0]*")
_PAX_RECORD = re.compile(rb"(\d{1,7}) ([^=]+)=")


class Stream(Protocol):
    """A file that is read from front to end; where it can `seek`, what is passed over is not read."""

    def read(self, size: int, /) -> bytes: ...


class BrokenTar(Exception):
    """Nothing more can be read; the text says why, in words that can be counted."""


@dataclass(frozen=True, slots=True)
class Member:
    """One entry: its name, the bytes of its content, and what it is; anything else is a link, a device, ...

    `offset` is where the content begins in the tar, once it is inflated.
    """

    name: str
    size: int
    is_file: bool
    is_folder: bool
    offset: int


class TarStream:
    """Iterates over the members of a tar file, plain or compressed by gzip or bzip2; used by one thread.

    Raises:
        BrokenTar: while iterating or reading: the file is damaged, ends early, or inflates to too much.
    """

    def __init__(self, file: Stream) -> None:
        self._file = _Inflated(file)
        self._left = 0

    @property
    def is_compressed(self) -> bool:
        return self._file.is_compressed

    def __iter__(self) -> Iterator[Member]:
        while (block := self._header()) is not None:
            member = self._member(block)
            self._left = _padded(member.size)
            yield member
            self._skip()

    def content(self, member: Member) -> bytes:
        """Return the content of the member that was yielded last; once, and after its size was looked at."""
        self._left -= member.size
        return self._exactly(member.size)

    def _header(self) -> bytes | None:
        """Return the next header, None at the mark of the end."""
        block = self._exactly(_BLOCK)
        if not block.strip(b"\0"):
            return None
        total = sum(block) - sum(block[148:156]) + 8 * 0x20
        if _octal(block[148:156]) != total:
            raise BrokenTar("damaged header")
        return block

    def _member(self, block: bytes) -> Member:
        """Return the member of a header, after the headers that only describe it."""
        name: bytes | None = None
        size: int | None = None
        is_sparse = False
        for _ in range(MAX_HEADERS_IN_A_ROW):
            kind = block[156:157]
            if kind not in (b"L", b"K", b"x", b"g"):
                break
            content = self._description(_number(block[124:136]))
            if kind == b"L":
                name = content.rstrip(b"\0")
            elif kind == b"x":
                records = dict(_pax_records(content))
                name = records.get(b"path", name)
                size = _decimal(records[b"size"]) if b"size" in records else size
                is_sparse |= any(key.startswith(b"GNU.sparse.") for key in records)
            following = self._header()
            if following is None:
                raise BrokenTar("damaged header")
            block = following
        else:
            raise BrokenTar("too many headers in a row")
        kind = block[156:157]
        plain_name = _name(block) if name is None else name
        is_folder = kind == _FOLDER or (kind == b"\0" and plain_name.endswith(b"/"))
        return Member(
            name=plain_name.decode("utf-8", "replace"),
            size=0 if kind in _WITHOUT_CONTENT else _number(block[124:136]) if size is None else size,
            is_file=kind in _PLAIN and not is_folder and not is_sparse,
            is_folder=is_folder,
            offset=self._file.given,
        )

    def _description(self, size: int) -> bytes:
        if size > MAX_HEADER_BYTES:
            raise BrokenTar("header too large")
        return self._exactly(_padded(size))[:size]

    def _skip(self) -> None:
        if self._left and self._file.can_seek:
            self._file.seek(self._left)  # past the end, too: the next header is then cut short
            self._left = 0
        while self._left > 0:
            taken = min(self._left, _SKIP_BYTES)
            self._exactly(taken)
            self._left -= taken

    def _exactly(self, size: int) -> bytes:
        content = self._file.read(size)
        if len(content) < size:
            raise BrokenTar("cut short")
        return content


class _Inflated:
    """The bytes of a file, inflated where it is compressed: at most so many times what was read of it."""

    def __init__(self, file: Stream) -> None:
        self._raw = _Counted(file)
        self._file: Any = self._raw
        if self._raw.starts_with(b"\x1f\x8b"):
            self._file = gzip.GzipFile(fileobj=cast("IO[bytes]", self._raw))
        elif self._raw.starts_with(b"BZh"):
            self._file = bz2.BZ2File(cast("IO[bytes]", self._raw))
        self.given = 0
        self.is_compressed = self._file is not self._raw
        self.can_seek = not self.is_compressed and self._raw.can_seek

    def seek(self, size: int) -> None:
        """Pass over so many bytes of a file that `can_seek`."""
        with foreign_as(BrokenTar("cannot be read")):
            self._raw.skip(size)
        self.given += size

    def read(self, size: int) -> bytes:
        """Return so many bytes, fewer at the end alone."""
        parts = bytearray()
        while len(parts) < size:
            with foreign_as(BrokenTar("cannot be read")):
                part = self._file.read(min(size - len(parts), _SKIP_BYTES))
            if not part:
                break
            parts += part
            self.given += len(part)
            if self.given > _INFLATION_SLACK_BYTES + MOST_INFLATION * self._raw.taken:
                raise BrokenTar("inflates to too much")
        return bytes(parts)


class _Counted:
    """A file that tells how it begins, and how much of it was read."""

    def __init__(self, file: Stream) -> None:
        self._file = file
        with foreign_as(BrokenTar("cannot be read")):
            self._front = file.read(_BLOCK)
            self._seek: Any = getattr(file, "seek", None) if getattr(file, "seekable", bool)() else None
        self.taken = len(self._front)

    @property
    def can_seek(self) -> bool:
        return self._seek is not None

    def skip(self, size: int) -> None:
        """Pass over so many bytes of a file that `can_seek`."""
        assert self._seek is not None
        ahead = max(0, size - len(self._front))
        self._front = self._front[size:]
        self._seek(ahead, os.SEEK_CUR)
        self.taken += ahead

    def starts_with(self, magic: bytes) -> bool:
        return self._front.startswith(magic)

    def read(self, size: int = _SKIP_BYTES) -> bytes:
        if self._front:
            part, self._front = self._front[:size], self._front[size:]
            return part
        part = self._file.read(size)
        self.taken += len(part)
        return part


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _name(block: bytes) -> bytes:
    name, prefix = block[:100].partition(b"\0")[0], block[345:500].partition(b"\0")[0]
    return prefix + b"/" + name if prefix and block[257:263] == b"ustar\0" else name


def _octal(field: bytes) -> int:
    found = _OCTAL.fullmatch(field)
    if found is None:
        raise BrokenTar("damaged header")
    return int(found[1] or b"0", 8)


def _number(field: bytes) -> int:
    """Read a number in octal digits, or in GNU's binary form for large ones."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    return _octal(field)


def _decimal(text: bytes) -> int:
    if not text.isdigit() or len(text) > 19:
        raise BrokenTar("damaged header")
    return int(text)


def _pax_records(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the records `length key=value` of an extended header."""
    position = 0
    while position < len(content):
        found = _PAX_RECORD.match(content, position)
        end = 0 if found is None else position + int(found[1])
        if found is None or not found.end() < end <= len(content):
            raise BrokenTar("damaged header")
        yield found[2], content[found.end() : end - 1]
        position = end
