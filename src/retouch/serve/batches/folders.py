"""The files of batches: a folder each, with what was sent and all that came of it."""

import json
import logging
import os
import re
import secrets
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from retouch.batch.ledger import NAME, Ledger
from retouch.batch.storage import telling_storage
from retouch.errors import NotFound, StorageFailed
from retouch.imaging.save import sync, write_atomically
from retouch.jobs.failures import storage_failures
from retouch.serve.batches.order import BatchOrder, Sent

log = logging.getLogger(__name__)

_MASK = "mask"
_BEGUN = "begun.json"
_INCOMING_S = 3600.0
"""A folder that is younger may be one that another server takes in just now."""
_PICTURE = re.compile(r"pictures/[0-9]{6,9}/[0-9]{9,12}(-[0-9]{1,4})?\.(png|jpg|webp|avif|tif)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows by how they ended, and how many there are; None before the input's end was seen."""

    ended: Counter[str]
    rows: int | None


@dataclass(frozen=True, slots=True)
class BatchFolder:
    """The files of one batch."""

    path: Path

    @property
    def output(self) -> Path:
        return self.path / "output"

    @property
    def mask_image(self) -> bytes | None:
        """The mask of rows that name none, encoded."""
        mask = self.path / _MASK
        return mask.read_bytes() if mask.exists() else None

    def size_bytes(self) -> int:
        """Return how large all files are together."""
        total = 0
        for folder, _, names in os.walk(self.path):
            for name in names:
                try:
                    total += (Path(folder) / name).lstat().st_size
                except FileNotFoundError:  # a temporary file that has its name by now
                    continue
        return total

    def counts(self) -> Counts:
        """Return how far the batch is by its ledger, also beside a run."""
        ledger = self.ledger()
        if ledger is None:
            return Counts(Counter(), None)
        with closing(ledger):
            extent = ledger.facts("extent")
            return Counts(ledger.counts(), None if extent is None else extent["rows"])

    def ledger(self) -> Ledger | None:
        """Open the ledger to be read; None before the first run, and where it is damaged."""
        path = self.output / NAME
        if not path.is_file():
            return None
        ledger = Ledger.read(path)
        try:
            ledger.facts("input")
        except sqlite3.DatabaseError as error:
            # It is being made, a crash interrupted that, or the disk lost some of it: no other batch's fault.
            log.debug("a ledger cannot be read: %s", error)
            ledger.close()
            return None
        return ledger

    def picture(self, name: str) -> Path:
        """Return the file of a picture by its name in the results.

        Raises:
            NotFound: there is none of this name.
        """
        path = self.output / name
        if not _PICTURE.fullmatch(name) or not path.is_file():
            raise NotFound("the batch has no such file", hint="results name the files of their rows")
        return path

    def begin(self) -> int:
        """Note that a run begins; return how many did in a row that came to no end and finished no row."""
        rows, file, times = self.counts().ended.total(), self.path / _BEGUN, 0
        if file.exists():
            before = json.loads(file.read_text())
            times = before["times"] if before["rows"] == rows else 0
        write_atomically(file, json.dumps({"rows": rows, "times": times + 1}).encode())
        return times

    def end(self) -> None:
        """Note that a run came to an end, whichever."""
        (self.path / _BEGUN).unlink(missing_ok=True)


class BatchFolders:
    """All folders; those that no kept batch names are removed by `sweep`. Usable from any thread."""

    def __init__(self, path: Path, *, is_shared: bool = False) -> None:
        """Use a folder of folders, or make it.

        Args:
            is_shared: with other servers.
        """
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = path
        self._is_shared = is_shared
        self._incoming: set[str] = set()

    def of(self, name: str) -> BatchFolder:
        return BatchFolder(self._path / name)

    def make(self, order: BatchOrder) -> str:
        """Write what was sent into a folder of its own, durably; return its name. `settle` is to follow.

        Raises:
            StorageFailed: there is no room for it.
        """
        name = secrets.token_hex(16)
        self._incoming.add(name)
        folder = self._path / name
        try:
            with telling_storage():
                folder.mkdir(mode=0o700)
                if isinstance(order.input, Sent):
                    write_atomically(folder / order.input.name, order.input.data)
                if order.mask_image is not None:
                    write_atomically(folder / _MASK, order.mask_image)
                sync(self._path)
        except StorageFailed:
            self.settle(name, is_kept=False)
            raise
        return name

    def settle(self, name: str, *, is_kept: bool) -> None:
        """Tell whether a batch names a folder that was made."""
        if not is_kept:
            self.remove(name)
        self._incoming.discard(name)

    def remove(self, name: str) -> None:
        """Remove a folder with all that is in it."""
        shutil.rmtree(self._path / name, ignore_errors=True)

    def sweep(self, named: Callable[[], Collection[str]]) -> int:
        """Remove folders that nobody names; return how many.

        Args:
            named: asked after a look at what is there, so that it knows all that was settled by then.
        Raises:
            StorageFailed: the folders cannot be listed.
        """
        incoming = set(self._incoming)
        with storage_failures():
            found = {one.name for one in self._path.iterdir() if not self._may_be_others(one)} - incoming
        left = found - set(named())
        for name in left:
            self.remove(name)
        return len(left)

    def _may_be_others(self, folder: Path) -> bool:
        if not self._is_shared:
            return False
        try:
            return time.time() - folder.stat().st_mtime < _INCOMING_S
        except FileNotFoundError:  # another server removed it
            return True
