"""SQLite for the threads of one process or of several: one writer at a time, readers beside it."""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from queue import Empty, LifoQueue
from types import MappingProxyType
from typing import TypeVar

from retouch.errors import Draining, StorageFailed
from retouch.jobs.failures import storage_failures
from retouch.jobs.folder import is_on_network

T = TypeVar("T")

_READERS = 4
_WAIT_S = 10.0
_WAL_BYTES = 8 << 20  # what the log is cut back to after it was large


class Database:
    """A database in WAL mode whose commits are durable; usable from any thread.

    Its readers are made at once, and no more later: SQLite keeps a closed connection's descriptors open while
    others of this process hold locks on the file.

    Mutable: whether it is closed, and the readers that are idle.
    """

    def __init__(self, writer: sqlite3.Connection, readers: Sequence[sqlite3.Connection]) -> None:
        self._writer = writer
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(len(readers))
        self._idle: LifoQueue[sqlite3.Connection] = LifoQueue()
        for reader in readers:
            self._idle.put(reader)
        self._is_closed = False

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        schema: str,
        version: int,
        upgrades: Mapping[int, str] = MappingProxyType({}),
        is_shared: bool = False,
    ) -> "Database":
        """Open the database, or make it, with the schema given.

        Args:
            upgrades: by a version, what makes the next one of it.
            is_shared: other processes have it open, too, which may be on other machines.
        Raises:
            StorageFailed: it cannot be opened, is no database, or another version's.
        """
        try:
            # SQLite would make it for everybody to read; its other files take the mode of this one.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            with ExitStack() as opened:
                writer = opened.enter_context(closing(_connect(path)))
                _settle_writing(writer, is_shared=is_shared and is_on_network(path))
                _settle_schema(writer, schema, version, upgrades)
                readers = [opened.enter_context(closing(_connect_to_read(path))) for _ in range(_READERS)]
                opened.pop_all()
        except (OSError, sqlite3.Error) as error:
            raise StorageFailed(
                f"{path} cannot be used as a database: {error}", hint="move it away; a new one is made then"
            ) from error
        return cls(writer, readers)

    def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Run a change in a transaction, and return its value once that is durable.

        Raises:
            StorageFailed: nothing was changed.
            Draining: it is closed.
        """
        with self._lock, storage_failures():
            self._check_open()
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                value = change(self._writer)
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
        return value

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give a connection that reads only, once one is idle: a thread that holds one must not ask for another.

        Raises:
            StorageFailed
            Draining: it is closed.
        """
        if not self._places.acquire(timeout=_WAIT_S):
            raise StorageFailed("all readers of the database are busy", hint="try again")
        try:
            with storage_failures(), self._lent() as reader:
                yield reader
        finally:
            self._places.release()

    def close(self) -> bool:
        """Close what is idle, while a reader at work closes when it is done; return whether it was open."""
        with self._lock:
            was_open, self._is_closed = not self._is_closed, True
            self._close_idle()
            self._writer.close()
        return was_open

    @contextmanager
    def _lent(self) -> Iterator[sqlite3.Connection]:
        """Lend an idle reader: there is one for each place, unless they were closed."""
        try:
            reader = self._idle.get_nowait()
        except Empty:
            raise _closed() from None
        try:
            self._check_open()
            yield reader
        finally:
            self._idle.put(reader)
            if self._is_closed:
                self._close_idle()

    def _close_idle(self) -> None:
        with suppress(Empty):
            while True:
                self._idle.get_nowait().close()

    def _check_open(self) -> None:
        if self._is_closed:
            raise _closed()


def _closed() -> Draining:
    return Draining("jobs are not kept any more", hint="the server is about to stop; come again later")


def _connect(path: Path) -> sqlite3.Connection:
    # Threads take turns with a connection, and transactions are begun by us alone.
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)


def _connect_to_read(path: Path) -> sqlite3.Connection:
    reader = _connect(path)
    reader.execute("PRAGMA query_only = ON")
    reader.execute("PRAGMA user_version").fetchone()  # opens what it reads with
    return reader


def _settle_writing(connection: sqlite3.Connection, *, is_shared: bool) -> None:
    """Make each commit wait until it is on the disk, and leave nothing of what is deleted.

    Args:
        is_shared: with other machines, which see each other's files but not each other's memory.
    """
    # Where shared memory is missing (some network file systems) SQLite stays with the journal that it deletes, and
    # only EXTRA makes that deletion durable.
    mode = connection.execute(f"PRAGMA journal_mode = {'DELETE' if is_shared else 'WAL'}").fetchone()[0]
    connection.execute(f"PRAGMA synchronous = {'FULL' if mode == 'wal' else 'EXTRA'}")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
    connection.execute("PRAGMA secure_delete = ON")  # what is deleted, such as a prompt, is overwritten


def _settle_schema(connection: sqlite3.Connection, schema: str, version: int, upgrades: Mapping[int, str]) -> None:
    """Make the tables of a new database, or bring those of an older version up to this one; refuse any other."""
    connection.execute("BEGIN IMMEDIATE")
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    while found in upgrades:
        _run(connection, upgrades[found])
        found += 1
    if found not in {0, version}:
        raise StorageFailed(
            f"the jobs were kept by another version of retouch (schema {found}, here {version})",
            hint="use that version, or another folder with --jobs-folder",
        )
    if found == 0:
        _run(connection, schema)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.execute("COMMIT")


def _run(connection: sqlite3.Connection, statements: str) -> None:
    for statement in statements.split(";"):
        connection.execute(statement)
