"""The bytes of a picture from wherever they are, never more than the limit."""

from os import PathLike
from pathlib import Path
from typing import Protocol

from retouch.errors import ImageError, ImageTooLarge


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
    try:
        if not path.is_file():
            raise ImageError(f"there is no picture file {path.name!r}", hint="check the path")
        with path.open("rb") as file:
            return _checked(file.read(limit_bytes + 1), limit_bytes)
    except (OSError, ValueError) as error:
        raise ImageError(f"the picture file {path.name!r} cannot be read", hint="check its permissions") from error


def _checked(data: bytes, limit_bytes: int) -> bytes:
    if len(data) > limit_bytes:
        raise ImageTooLarge("the picture file is too large", hint=f"at most {limit_bytes} bytes")
    return data
