"""Files written whole or not at all."""

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import IO

from retouch.errors import ImageFormatError
from retouch.imaging.choices import FileFormat
from retouch.imaging.encode import encode_picture, encoding_warnings
from retouch.imaging.metadata import ResultMetadata
from retouch.imaging.picture import Picture

FORMATS_BY_SUFFIX: dict[str, FileFormat] = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".avif": "AVIF",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}


def format_of_path(path: "str | PathLike[str]") -> FileFormat:
    """Return the format that a file's name asks for.

    Raises:
        ImageFormatError: the suffix is of none that can be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS_BY_SUFFIX:
        raise ImageFormatError(
            f"pictures cannot be written as {suffix or 'a file without a suffix'}",
            hint=f"use one of: {', '.join(FORMATS_BY_SUFFIX)}",
        )
    return FORMATS_BY_SUFFIX[suffix]


def save_picture(
    picture: Picture,
    path: "str | PathLike[str]",
    *,
    metadata: ResultMetadata | None = None,
    quality: int | None = None,
) -> tuple[str, ...]:
    """Write a picture in the format of the file's suffix; return what that format does not keep.

    Raises:
        ImageFormatError: the suffix is of no format that can be written.
        OSError: the folder is missing, full or not writable; the path then holds what it held before.
    """
    kind = format_of_path(path)
    write_atomically(path, encode_picture(picture, kind, metadata=metadata, quality=quality))
    return encoding_warnings(picture, kind, metadata=metadata, quality=quality)


def write_atomically(path: "str | PathLike[str]", data: bytes | Iterable[bytes]) -> None:
    """Write a file so that its path holds the old content or the whole new one, even after a crash.

    Args:
        data: the content, or its pieces in order.
    Raises:
        OSError: it could not be written; nothing is left behind.
    """
    with replace_with(path) as file:
        for piece in (data,) if isinstance(data, bytes) else data:
            file.write(piece)


@contextmanager
def replace_with(path: "str | PathLike[str]") -> Iterator[IO[bytes]]:
    """Give a file to write into, which takes the place of `path` when the block ends well.

    Raises:
        OSError: it could not be written; the path then holds what it held before, and nothing is left behind.
    """
    target = Path(path)
    temporary, file = open_beside(target)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # elsewhere no folder can be opened
        sync(target.parent)


def open_beside(target: Path) -> tuple[Path, IO[bytes]]:
    """Open a new temporary file in the folder of `target`, hidden and ending in `.tmp`, for writing.

    In the same folder, because a rename is atomic within one file system only.
    """
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}.tmp")
    # Exclusive, so that no link laid out by another is followed; the mode is the user's own default.
    return temporary, os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb")


def sync(path: Path) -> None:
    """Make a file's content durable, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
