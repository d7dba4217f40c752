"""Failures of the disk that the output is on, told as what they are to whoever runs a batch."""

from collections.abc import Iterator
from contextlib import contextmanager

from retouch.errors import StorageFailed


def storage_failed(error: OSError) -> StorageFailed:
    """Return what is told of a failure of the disk."""
    failure = StorageFailed(
        f"the output cannot be written: {error.strerror or error}",
        hint="free some space, and run the same command again: what is done stays done",
    )
    failure.__cause__ = error
    return failure


@contextmanager
def telling_storage() -> Iterator[None]:
    """Raise a failure of the disk within the block as `StorageFailed`."""
    try:
        yield
    except OSError as error:
        raise storage_failed(error) from error
