"""What a run claims of its disk: that nobody else writes, and room for its ledger's last words."""

import errno
import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from retouch.errors import OutputInUse

log = logging.getLogger(__name__)

_RESERVE_BYTES = 2**20
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What file systems answer that have no locks."""


def locked(path: Path) -> IO[str]:
    """Take the lock of a ledger; the process's death releases it, however it dies.

    A file of its own: closing any descriptor of the database itself would drop SQLite's own locks. `flock` and not
    `lockf`: that would let a second run of the same process in.
    """
    name = path.with_name(f".{path.name}.lock")
    file = name.open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        owner = file.read(500).strip() or "another process"
        file.close()
        raise OutputInUse(
            f"another run writes into {path.parent}: {owner}", hint="wait for it, or stop it"
        ) from error
    except BaseException:
        file.close()
        raise
    with suppress(OSError):  # for people alone
        file.truncate(0)
        stamp = datetime.now(UTC).isoformat(timespec="seconds")
        file.write(f"process {os.getpid()} on {socket.gethostname()}, since {stamp}\n")
        file.flush()
    return file


@contextmanager
def holding(path: Path) -> Iterator[None]:
    """Hold the lock of a ledger's place within the block; where a file system has none, warn and go on.

    Raises:
        OutputInUse: another process holds it.
    """
    with ExitStack() as held:
        try:
            held.enter_context(locked(path))
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            log.warning("there are no locks in %s: nothing keeps a second run out of it", path.parent)
        yield


@contextmanager
def turn(folder: Path) -> Iterator[bool]:
    """Wait until nobody else writes results into a folder; give whether that can be known there."""
    with (folder / ".results.lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            has_locks = True
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            has_locks = False
        yield has_locks


def reserve_of(path: Path) -> Path:
    """Return where the room is kept."""
    return path.with_name(f".{path.name}.reserve")


def reserve(path: Path) -> None:
    """Take room for the ledger's last words: what is written when the disk is full.

    Raises:
        OSError: there is no room even now.
    """
    room = reserve_of(path)
    try:
        with room.open("wb") as file:
            file.write(os.urandom(_RESERVE_BYTES))  # of zeros, some file systems would keep their number
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        room.unlink(missing_ok=True)
        raise
