"""The servers that share a folder of jobs, each known by a lock that its death releases.

A lock and not a time: a server that is slow is not taken for one that is gone, and one that was killed is known to
be so at once. On a file system of the network that is as true as its locks are (NFS 4, CephFS, Lustre keep them).
"""

import fcntl
import os
import secrets
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from retouch.jobs.failures import storage_failures
from retouch.jobs.folder import make_private


@dataclass(frozen=True, slots=True)
class Members:
    """One server among those that share a folder, until `leave` or its death. Usable from any thread.

    Attributes:
        id: of this server; random, never used again.
    """

    id: str
    _folder: Path
    _lock: IO[bytes]

    @classmethod
    def join(cls, folder: Path) -> Self:
        """Become one of those that share the folder.

        Raises:
            BadInput: it cannot be made.
            StorageFailed: it cannot be written.
        """
        make_private(folder)
        place = folder / "members"
        with storage_failures():
            place.mkdir(exist_ok=True, mode=0o700)
            while True:
                name = secrets.token_hex(8)
                lock = os.fdopen(os.open(place / name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "r+b")
                fcntl.flock(lock, fcntl.LOCK_EX)
                if os.fstat(lock.fileno()).st_nlink:  # else it was swept before it was locked
                    return cls(name, place, lock)
                lock.close()

    def lost(self, names: Collection[str]) -> frozenset[str]:
        """Return those of some servers that are gone."""
        with storage_failures():
            return frozenset(name for name in names if name != self.id and self._is_lost(name))

    def tell(self, topic: str, data: bytes) -> None:
        """Let the others know something; it takes the place of what was told of it before.

        Raises:
            StorageFailed
        """
        with storage_failures():
            written = self._folder / f".{self.id}.{topic}"
            with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(data)
            written.replace(self._folder / f"{self.id}.{topic}")

    def told(self, topic: str) -> Mapping[str, bytes]:
        """Return what each of the others told last; of one that is gone it may still be there for a while."""
        told = {}
        with storage_failures():
            for file in self._folder.glob(f"*.{topic}"):
                with suppress(FileNotFoundError):
                    told[file.name.partition(".")[0]] = file.read_bytes()
        return {name: data for name, data in told.items() if name and name != self.id}

    def sweep(self) -> None:
        """Remove what servers left that are gone."""
        with storage_failures():
            names = {file.name for file in self._folder.iterdir()}
            alive = {name for name in names if "." not in name and not self._is_swept(name)}
            for name in names:
                if name.removeprefix(".").partition(".")[0] not in alive:
                    (self._folder / name).unlink(missing_ok=True)

    def leave(self) -> None:
        """Be none of them any more, and leave nothing behind."""
        for file in self._folder.glob(f"*{self.id}*"):
            file.unlink(missing_ok=True)
        self._lock.close()

    def _is_swept(self, name: str) -> bool:
        """Remove the lock of a server that is gone; return whether it is removed.

        Held meanwhile, so that one that joins just now and has not locked its file yet finds out.
        """
        if name == self.id:
            return False
        # Where it cannot be had, it is there, or somebody looks at it: the next sweep will tell.
        with self._taken(name, fcntl.LOCK_EX) as is_gone:
            if is_gone:
                (self._folder / name).unlink(missing_ok=True)
            return is_gone

    def _is_lost(self, name: str) -> bool:
        # Shared, so that two who look at a time do not take each other for the server.
        with self._taken(name, fcntl.LOCK_SH) as is_gone:
            return is_gone

    @contextmanager
    def _taken(self, name: str, kind: int) -> Iterator[bool]:
        """Take a server's lock within the block, of a kind of `flock`; tell if it could be had, or is gone."""
        try:
            lock = os.open(self._folder / name, os.O_RDWR)
        except FileNotFoundError:
            yield True
            return
        try:
            yield _is_free(lock, kind)
        finally:
            os.close(lock)


def _is_free(lock: int, kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
