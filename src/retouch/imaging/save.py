"""Files written whole or not at all."""

import os
import secrets
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

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
    target = Path(path)
    temporary = write_beside(target, (data,) if isinstance(data, bytes) else data, is_durable=True)
    try:
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # elsewhere no folder can be opened
        sync(target.parent)


def write_beside(target: Path, pieces: Iterable[bytes], *, is_durable: bool) -> Path:
    """Write a temporary file in the folder of `target`, hidden and with the ending `.tmp`; return its path.

    In the same folder, because a rename is atomic within one file system only.

    Args:
        is_durable: return only when the disk has it.
    Raises:
        OSError: it could not be written; nothing is left behind.
    """
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}.tmp")
    try:
        # Exclusive, so that no link laid out by another is followed; the mode is the user's own default.
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            if is_durable:
                os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def sync(path: Path) -> None:
    """Make a file's content durable, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
