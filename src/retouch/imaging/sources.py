"""The bytes of a picture from wherever they are, never more than the limit.

A text is never opened. What a client sends is text or bytes, and no text of a client's may name a file of this
machine: only a `Path` does, which somebody here must have made. Where the caller is the machine's own user, whose
texts are paths, the door is `local`.
"""

import re
from os import PathLike
from pathlib import Path
from typing import Protocol, TypeVar

from retouch.errors import ImageError, ImageTooLarge

_ADDRESS = re.compile(r"(?:https?|ftp|s3|data):", re.IGNORECASE)


class Readable(Protocol):
    """A file opened for reading bytes."""

    def read(self, size: int, /) -> bytes: ...


T = TypeVar("T")


def local(source: T | str) -> T | Path:
    """Take a text for the path of a file on this machine: for calls by its own user alone, never by a client."""
    return Path(source) if isinstance(source, str) else source


def read_bytes(source: object, limit_bytes: int) -> bytes:
    """Return the content of a path or an open file, or bytes as they are.

    Raises:
        ImageTooLarge: there are more than `limit_bytes`.
        ImageError: the file is missing, is no regular file, or the source is of another kind, such as a text.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return _checked(bytes(source), limit_bytes)
    if isinstance(source, str):
        raise ImageError(
            "a text is not a picture", hint="wrap a path of this machine in pathlib.Path; decode base64 to bytes"
        )
    if isinstance(source, PathLike):
        return _read_path(source, limit_bytes)
    read = getattr(source, "read", None)
    if read is None:
        raise ImageError(
            f"a {type(source).__name__} is not a picture", hint="use a path, bytes, a Pillow image or an array"
        )
    data = read(limit_bytes + 1)
    if not isinstance(data, bytes):
        raise ImageError("the picture file is open for text", hint="open it in binary mode")
    return _checked(data, limit_bytes)


def _read_path(source: "PathLike[str]", limit_bytes: int) -> bytes:
    path = Path(source)
    name = path.name or str(path)
    try:
        if not path.is_file():
            raise _no_file(source, path, name)
        with path.open("rb") as file:
            return _checked(file.read(limit_bytes + 1), limit_bytes)
    except (OSError, ValueError) as error:
        raise ImageError(f"the picture file {name!r} cannot be read", hint="check its permissions") from error


def _no_file(source: "str | PathLike[str]", path: Path, name: str) -> ImageError:
    """Return the error that says what the path is instead of a file."""
    if path.is_dir():
        return ImageError(f"{name!r} is a folder", hint="name a picture file in it")
    if path.is_fifo():
        return ImageError(f"{name!r} is a pipe", hint="read it to bytes first; on a command line, `-` reads stdin")
    if _ADDRESS.match(str(source)):
        return ImageError("addresses are not fetched", hint="download the picture, and give its path or bytes")
    return ImageError(f"there is no picture file {name!r}", hint="check the path")


def _checked(data: bytes, limit_bytes: int) -> bytes:
    if len(data) > limit_bytes:
        raise ImageTooLarge("the picture file is too large", hint=f"at most {limit_bytes} bytes")
    return data
