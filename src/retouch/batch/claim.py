"""What a ledger claims of its disk: that nobody else writes, and room for its last words."""

import fcntl
import os
import socket
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from retouch.errors import OutputInUse

_RESERVE_BYTES = 2**20


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


def reserve_of(path: Path) -> Path:
    """Return where the room is kept."""
    return path.with_name(f".{path.name}.reserve")


def reserve(path: Path) -> None:
    """Take room for the ledger's last words: what is written when the disk is full.

    Raises:
        OSError: there is no room even now.
    """
    with reserve_of(path).open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, _RESERVE_BYTES)
