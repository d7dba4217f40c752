"""Blobs as files: one a job, beside the database.

They are files because SQLite writes a blob twice (one of 16 MB took four times as long in a table, its deletion
fifteen times), and holds up every other writer meanwhile. They are one file a job, because each file costs waits
for the disk. A file counts once a committed row names it, and never changes: so it needs no rename, a crash leaves
at most files that nobody names, and the next start deletes those.
"""

import os
import re
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

from retouch.errors import StorageFailed
from retouch.jobs.failures import storage_failures
from retouch.jobs.folder import sync
from retouch.jobs.job import Blob, BlobInfo

_NAME = re.compile(r"[0-9a-f]{32}\.blobs")


@dataclass(frozen=True, slots=True)
class Bundle:
    """The blobs of a job, one after the other in one file.

    Attributes:
        file: its name; None where there are no blobs.
    """

    file: str | None
    blobs: tuple[BlobInfo, ...]

    @property
    def size_bytes(self) -> int:
        return sum(info.size_bytes for info in self.blobs)

    def find(self, name: str) -> tuple[BlobInfo, int] | None:
        """Return a blob with its place in the file, in bytes; None where there is none of this name."""
        offset = 0
        for info in self.blobs:
            if info.name == name:
                return info, offset
            offset += info.size_bytes
        return None


NO_BLOBS = Bundle(None, ())


@dataclass(slots=True, eq=False)
class BlobFile:
    """A blob that is read in pieces, for one thread at a time; its file may be deleted meanwhile.

    Mutable: how much of it is left.
    """

    info: BlobInfo
    _file: IO[bytes]
    _left: int = field(init=False)

    def __post_init__(self) -> None:
        self._left = self.info.size_bytes

    def read(self, size_bytes: int | None = None) -> bytes:
        """Return the next bytes, so many at most; empty at its end.

        Raises:
            StorageFailed: they cannot be read.
        """
        wanted = self._left if size_bytes is None else min(size_bytes, self._left)
        with storage_failures():
            data = self._file.read(wanted)
        if len(data) != wanted:
            raise _damaged()
        self._left -= wanted
        return data

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class BundleFolder:
    """The folder of the files; nothing else may write into it."""

    path: Path

    @classmethod
    def make(cls, path: Path) -> "BundleFolder":
        """Make the folder where it is missing.

        Raises:
            StorageFailed
        """
        with storage_failures():
            path.mkdir(exist_ok=True, mode=0o700)
            sync(path.parent)
        return cls(path)

    def write(self, blobs: Sequence[Blob]) -> Bundle:
        """Write blobs durably; nothing is left behind where that fails.

        Raises:
            StorageFailed
        """
        if not blobs:
            return NO_BLOBS
        bundle = Bundle(f"{secrets.token_hex(16)}.blobs", tuple(blob.info for blob in blobs))
        assert len({info.name for info in bundle.blobs}) == len(bundle.blobs), "two blobs of one name"
        with storage_failures():
            try:
                self._write_file(bundle, blobs)
                sync(self.path)
            except BaseException:
                self.delete([bundle])
                raise
        return bundle

    def open(self, bundle: Bundle, info: BlobInfo, offset: int) -> "BlobFile | None":
        """Open one blob of a bundle; None where the file is gone, as when its job has just ended or expired.

        Raises:
            StorageFailed: it cannot be read, or is shorter than it was.
        """
        assert bundle.file
        with storage_failures():
            try:
                file = (self.path / bundle.file).open("rb")
            except FileNotFoundError:
                return None
            if os.fstat(file.fileno()).st_size < offset + info.size_bytes:
                file.close()
                raise _damaged()
            file.seek(offset)
        return BlobFile(info, file)

    def delete(self, bundles: Iterable[Bundle]) -> None:
        """Delete the files of bundles that no row names any more; what resists is left to the next start."""
        for bundle in bundles:
            if bundle.file:
                with suppress(OSError):
                    (self.path / bundle.file).unlink()

    def present(self) -> frozenset[str]:
        """Return the names of all files of bundles that are there."""
        with storage_failures():
            return frozenset(file.name for file in self.path.iterdir() if _NAME.fullmatch(file.name))

    def older_than(self, time_s: float, files: Iterable[str]) -> frozenset[str]:
        """Return those of some files that were written before a time, in seconds since 1970."""
        old = set()
        for file in files:
            with suppress(FileNotFoundError):
                if (self.path / file).stat().st_mtime < time_s:
                    old.add(file)
        return frozenset(old)

    def _write_file(self, bundle: Bundle, blobs: Iterable[Blob]) -> None:
        assert bundle.file
        descriptor = os.open(self.path / bundle.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(blob.data for blob in blobs)
            file.flush()
            os.fsync(descriptor)


def _damaged() -> StorageFailed:
    return StorageFailed("a file of the job is damaged", hint="ask for the work again")
