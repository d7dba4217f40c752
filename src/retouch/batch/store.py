"""The pictures of an output: under names made here, whole or absent, and durable before anybody counts them.

A file is written beside its place, made durable, and renamed; then the rename is made durable. Both are done for
a group of files at once: a disk takes as long for one as for a hundred.
"""

import ctypes
import hashlib
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from retouch.batch.entry import StoredFile
from retouch.imaging.save import open_beside, sync

PICTURES = "pictures"
_TEMPORARY = f".*.{'[0-9a-f]' * 16}.tmp"
_PER_FOLDER = 1000
_FEW = 4
"""Files that are made durable one by one; more of them by one call for all that the file system holds back."""


@dataclass(frozen=True, slots=True)
class Written:
    """A picture in a temporary file; `Store.settle` gives it its name."""

    temporary: Path
    stored: StoredFile


class Store:
    """The folder of pictures of one run. `write` is for any thread, `settle` for one."""

    def __init__(self, folder: Path, *, suffix: str) -> None:
        """Keep pictures below a folder, which is there; `suffix` (`.png`) ends their names."""
        self.folder = folder
        self._suffix = suffix
        # Opened before anything is written: what fails from here on is told by the next `syncfs`.
        self._descriptor = os.open(folder, os.O_RDONLY)

    def close(self) -> None:
        """Let the folder go."""
        os.close(self._descriptor)

    def name_of(self, row: int, variant: int) -> str:
        """Return the name of a picture below the output: from the row's number, never from its content."""
        number = "" if variant == 0 else f"-{variant + 1}"
        return f"{PICTURES}/{row // _PER_FOLDER:06d}/{row:09d}{number}{self._suffix}"

    def write(self, row: int, pictures: Sequence[bytes]) -> tuple[Written, ...]:
        """Write a row's pictures to temporary files.

        Raises:
            OSError: the disk is full, or the like; nothing is left behind.
        """
        written: list[Written] = []
        try:
            for variant, data in enumerate(pictures):
                written.append(self._write(self.name_of(row, variant), data))
        except BaseException:
            self.drop(written)
            raise
        return tuple(written)

    def drop(self, written: Iterable[Written]) -> None:
        """Remove temporary files that will not be kept."""
        for one in written:
            with suppress(OSError):
                one.temporary.unlink(missing_ok=True)

    def settle(self, written: Sequence[Written]) -> None:
        """Make files durable, give them their names, and make those durable.

        Raises:
            OSError: nothing of this may be counted; files that have their names already hold the right bytes.
        """
        if not written:
            return
        self._make_durable([one.temporary for one in written])
        for one in written:
            one.temporary.replace(self.folder / one.stored.name)
        for folder in {one.temporary.parent for one in written}:
            sync(folder)

    def sweep(self) -> int:
        """Remove temporaries that an interrupted run left; return how many."""
        found = list((self.folder / PICTURES).glob("*/.*.tmp"))
        for path in found:
            path.unlink(missing_ok=True)
        return len(found)

    def is_whole(self, stored: StoredFile, *, thoroughly: bool = False) -> bool:
        """Tell whether a file still is what was kept: by its size and time, and by its hash where they differ.

        Args:
            thoroughly: by its hash in any case.
        """
        path = self.folder / stored.name
        try:
            found = path.stat()
            if found.st_size != stored.size_bytes:
                return False
            if found.st_mtime_ns == stored.changed_ns and not thoroughly:
                return True
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == stored.sha256
        except OSError:
            return False

    def _write(self, name: str, data: bytes) -> Written:
        path = self.folder / name
        self._prepare(path.parent)
        temporary, file = open_beside(path)
        try:
            with file:
                file.write(data)
            changed = temporary.stat().st_mtime_ns
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return Written(temporary, StoredFile(name, hashlib.sha256(data).hexdigest(), len(data), changed))

    def _make_durable(self, paths: Sequence[Path]) -> None:
        if len(paths) <= _FEW or (sync_all := _syncfs()) is None:
            for path in paths:
                sync(path)
        elif sync_all(self._descriptor) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(self.folder))

    def _prepare(self, folder: Path) -> None:
        """Make the folder of a picture, durably."""
        if folder.is_dir():
            return
        for one in (folder.parent, folder):
            with suppress(FileExistsError):
                one.mkdir()
                sync(one.parent)


def sweep_results(output: Path) -> None:
    """Remove temporaries that were left where results were being written; for who alone writes some now."""
    for path in (*output.glob(_TEMPORARY), *output.glob(f"shards/{_TEMPORARY}")):
        path.unlink(missing_ok=True)


@cache
def _syncfs() -> "ctypes._NamedFuncPointer | None":
    """Return Linux's `syncfs`, from 5.8 on: before, it does not tell that a write failed."""
    if sys.platform != "linux" or tuple(map(int, platform.release().split(".")[:2])) < (5, 8):
        return None
    library = ctypes.CDLL(None, use_errno=True)
    return library.syncfs if hasattr(library, "syncfs") else None
