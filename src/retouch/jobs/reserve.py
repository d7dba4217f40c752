"""A reserve of disk space, so that the end of running jobs can be noted on a full disk."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

RESERVE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Reserve:
    """A file that holds space and nothing else."""

    path: Path

    def fill(self) -> None:
        """Take the space, if it is not held and there is enough; a full disk is no error here."""
        if self.path.exists():
            return
        try:
            # Random bytes: a file system that compresses would hold nothing for zeros.
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(os.urandom(RESERVE_BYTES))
        except OSError:
            self.spend()

    def spend(self) -> bool:
        """Give the space back to the disk; return whether it was held."""
        with suppress(OSError):
            self.path.unlink()
            return True
        return False
