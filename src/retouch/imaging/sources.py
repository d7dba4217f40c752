"""The bytes of a picture from wherever they are, never more than the limit."""

import re
from os import PathLike
from pathlib import Path
from typing import Protocol

from retouch.errors import ImageError, ImageTooLarge

_ADDRESS = re.compile(r"(?:https?|ftp|s3|data):", re.IGNORECASE)


class Readable(Protocol):
    """A file opened for reading bytes."""

    def read(self, size: int, /) -> bytes: ...


def read_bytes(source: object, limit_bytes: int) -> bytes:
    """Return the content of a path or an open file, or bytes as they are.

    A text is always a path: addresses and base64 are for the layers above.

    Raises:
        ImageTooLarge: there are more than `limit_bytes`.
        ImageError: the file is missing, is no regular file, or the source is of another kind.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return _checked(bytes(source), limit_bytes)
    if isinstance(source, str | PathLike):
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


def _read_path(source: "str | PathLike[str]", limit_bytes: int) -> bytes:
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
