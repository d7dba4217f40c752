"""What disks and databases raise, as an error of ours: their own texts hold paths, which are for the log alone."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from retouch.errors import StorageFailed

logger = logging.getLogger(__name__)


@contextmanager
def storage_failures() -> Iterator[None]:
    """Raise `StorageFailed` for what the disk, or the database on it, raises within the block."""
    try:
        yield
    except sqlite3.IntegrityError:
        raise  # a defect of ours, not of the disk
    except (OSError, sqlite3.Error) as error:
        logger.error("jobs could not be read or written: %s", error)
        raise StorageFailed(
            "jobs cannot be read or written now",
            hint="come again later; the server's log says what the disk answered, such as that it is full",
        ) from error
