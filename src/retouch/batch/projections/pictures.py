"""The pictures of an output, read back for a projection."""

from pathlib import Path

from retouch.errors import BadInput


def read_picture(folder: Path, name: str) -> bytes:
    """Return the encoded picture of a row.

    Raises:
        BadInput: it is not there any more.
    """
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError as error:
        raise BadInput(f"{name} is not there any more", hint="run the batch again: it is made again") from error
