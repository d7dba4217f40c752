"""The ledger: one SQLite file of an output that knows every row that is done, and what run this is.

A row stands here only once its pictures are durable under their names. The file is one run's: another input or
other settings are refused, and so is a second process at the same time.
"""

import json
import secrets
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Self

from retouch.batch.claim import locked, reserve, reserve_of
from retouch.batch.entry import Entry, Kept, Status, StoredFile
from retouch.errors import BadInput, OutputDiffers
from retouch.jobs.folder import is_on_network

NAME = "ledger.sqlite"
_SCHEMA = 1
_NAMED = "ledger"
_MOST_DIFFERENCES = 10
_LATER = frozenset({"config", "content", "others"})
"""Facts that earlier versions did not note: a ledger that lacks them gets them, and is compared from then on."""
_TABLES = """
CREATE TABLE IF NOT EXISTS facts (part TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rows (row INTEGER PRIMARY KEY, status TEXT NOT NULL, record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS files (
    row INTEGER NOT NULL REFERENCES rows (row) ON DELETE CASCADE,
    variant INTEGER NOT NULL,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    changed_ns INTEGER NOT NULL,
    PRIMARY KEY (row, variant)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (at TEXT NOT NULL, what TEXT NOT NULL);
"""


class Ledger:
    """The ledger of one output. Any thread may use it, one at a time."""

    def __init__(self, path: Path, database: sqlite3.Connection, lock: IO[str] | None) -> None:
        self.path = path
        self._database = database
        self._lock_file = lock
        self._turn = threading.RLock()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or begin a ledger, for this process alone.

        Raises:
            OutputInUse: another run has it.
            BadInput: it is no ledger, a damaged one, or of a later version.
        """
        lock = locked(path)
        try:
            reserve(path)
            database = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
            try:
                _prepare(database, path)
            except sqlite3.DatabaseError as error:
                database.close()
                if _is_storage(error):
                    raise OSError(f"the ledger cannot be written: {error}") from error
                raise BadInput(f"{path} is no ledger, or a damaged one") from error
        except BaseException:
            lock.close()
            raise
        return cls(path, database, lock)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Open a ledger to be read, beside a run that may be under way.

        Raises:
            BadInput: there is none.
        """
        if not path.is_file():
            raise BadInput(f"{path.parent} holds no batch run", hint=f"there is no {path.name} in it")
        database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
        return cls(path, database, None)

    def close(self) -> None:
        """Close it, and let others in."""
        self._database.close()
        if self._lock_file is not None:
            reserve_of(self.path).unlink(missing_ok=True)
            self._lock_file.close()

    def agree(
        self, part: str, facts: Mapping[str, Any], *, amend: Callable[[Any, Any], Any] | None = None
    ) -> None:
        """Note what this run is, or compare it with what was noted when it began.

        Args:
            amend: takes what was noted and what is; returns the former with what may have become another.
        Raises:
            OutputDiffers: it was another; the message says in what.
        """
        now = json.loads(json.dumps(facts))
        with self._turn:
            noted = self.facts(part)
            was = now if noted is None else _completed(noted, now)
            was = was if amend is None else amend(was, now)
            if found := list(differences(was, now)):
                more = len(found) - _MOST_DIFFERENCES
                told = "; ".join(found[:_MOST_DIFFERENCES]) + (f"; and {more} more" if more > 0 else "")
                raise OutputDiffers(
                    f"the output holds a run with another {part}: {told}",
                    hint="go on with the same command, or choose another --output",
                )
            if was != noted:
                with self._transaction():
                    content = json.dumps(was, sort_keys=True)
                    self._database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (part, content))

    def facts(self, part: str) -> Mapping[str, Any] | None:
        """Return what was noted under a name, or None."""
        with self._turn:
            found = self._database.execute("SELECT content FROM facts WHERE part = ?", (part,)).fetchone()
        return None if found is None else json.loads(found[0])

    def name(self) -> str:
        """Return what tells this ledger from every other; it is made when it is first asked for."""
        if (known := self.facts(_NAMED)) is None:
            known = {"name": secrets.token_hex(16)}
            self.agree(_NAMED, known)
        return str(known["name"])

    def is_named(self, name: str) -> bool:
        """Tell whether this is the ledger of a name."""
        return (self.facts(_NAMED) or {}).get("name") == name

    def check(self) -> None:
        """Compare its version with ours, where it is only read.

        Raises:
            BadInput: it is a later one.
        """
        _version(self._database, self.path)

    def add(self, entries: Sequence[Entry]) -> None:
        """Keep what became of rows, all of them or none; one that is there already is replaced.

        Raises:
            OSError: the disk is full or fails; none is kept.
        """
        rows = [(one.row, one.status, _to_json(one.record)) for one in entries]
        files = [
            (one.row, variant, file.name, file.sha256, file.size_bytes, file.changed_ns)
            for one in entries
            for variant, file in enumerate(one.files)
        ]
        with self._turn, self._transaction():
            self._database.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", rows)
            self._database.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)", files)

    def forget(self, rows: Sequence[int]) -> None:
        """Take rows out, so that they are computed again."""
        with self._turn, self._transaction():
            self._database.executemany("DELETE FROM files WHERE row = ?", [(row,) for row in rows])
            self._database.executemany("DELETE FROM rows WHERE row = ?", [(row,) for row in rows])

    def finished(self) -> "Finished":
        """Return which rows are kept."""
        with self._turn:
            return Finished(row for (row,) in self._database.execute("SELECT row FROM rows"))

    def rows_with(self, status: Status) -> list[int]:
        """Return the rows that ended so."""
        with self._turn:
            found = self._database.execute("SELECT row FROM rows WHERE status = ?", (status,)).fetchall()
        return [row for (row,) in found]

    def counts(self) -> Counter[str]:
        """Return how many rows ended how."""
        with self._turn:
            return Counter(dict(self._database.execute("SELECT status, count(*) FROM rows GROUP BY status")))

    def files(self) -> Iterator[tuple[int, StoredFile]]:
        """Yield every file with its row."""
        query = "SELECT row, name, sha256, size_bytes, changed_ns FROM files ORDER BY row, variant"
        for row, name, sha256, size_bytes, changed_ns in self._database.execute(query):
            yield row, StoredFile(name, sha256, size_bytes, changed_ns)

    def kept(self) -> Iterator[Kept]:
        """Yield every row in the order of the input."""
        query = """
            SELECT rows.status, rows.record, (
                SELECT json_group_array(name) FROM (
                    SELECT name FROM files WHERE files.row = rows.row ORDER BY variant
                )
            ) FROM rows ORDER BY rows.row
        """
        for status, record, names in self._database.execute(query):
            yield Kept(status, json.loads(record), tuple(json.loads(names)))

    def note(self, what: str) -> None:
        """Write down when something happened, if there is still room for it."""
        reserve_of(self.path).unlink(missing_ok=True)  # it was kept for this
        with suppress(OSError), self._turn, self._transaction():
            stamp = datetime.now(UTC).isoformat(timespec="seconds")
            self._database.execute("INSERT INTO events VALUES (?, ?)", (stamp, what))

    def events(self) -> list[tuple[str, str]]:
        """Return what was noted, oldest first: UTC and words."""
        with self._turn:
            return self._database.execute("SELECT at, what FROM events ORDER BY rowid").fetchall()

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._database)


class Finished:
    """A set of row numbers, a byte each."""

    def __init__(self, rows: Iterator[int]) -> None:
        self._flags = bytearray()
        self.count = 0
        for row in rows:
            if row >= len(self._flags):
                self._flags.extend(bytes(max(row + 1, 2 * len(self._flags)) - len(self._flags)))
            self._flags[row] = 1
            self.count += 1

    def __contains__(self, row: int) -> bool:
        return row < len(self._flags) and self._flags[row] == 1


class _Transaction:
    """All or nothing; a failure of the disk becomes the `OSError` that it is."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def __enter__(self) -> None:
        self._run("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            self._run("COMMIT")
            return
        with suppress(sqlite3.Error):
            self._database.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error) and _is_storage(error):
            raise OSError(f"the ledger cannot be written: {error}") from error

    def _run(self, statement: str) -> None:
        try:
            self._database.execute(statement)
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
            if _is_storage(error):
                raise OSError(f"the ledger cannot be written: {error}") from error
            raise


def _is_storage(error: sqlite3.Error) -> bool:
    """Tell a disk that is full or fails from a mistake of ours."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
    )


def _version(database: sqlite3.Connection, path: Path) -> int:
    version = int(database.execute("PRAGMA user_version").fetchone()[0])
    if version > _SCHEMA:
        raise BadInput(f"{path} was written by a later version", hint="update retouch")
    return version


def _prepare(database: sqlite3.Connection, path: Path) -> None:
    version = _version(database, path)
    # The index of a write-ahead log is shared memory, which network file systems do not have.
    database.execute(f"PRAGMA journal_mode = {'DELETE' if is_on_network(path) else 'WAL'}")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("PRAGMA foreign_keys = ON")
    if version < _SCHEMA:
        database.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {_SCHEMA}; COMMIT;")


def _completed(was: Any, now: Any) -> Any:
    """Return `was` with those facts of `now` that only its version did not note."""
    if not isinstance(was, dict) or not isinstance(now, dict):
        return was
    known = {key: _completed(value, now.get(key)) for key, value in was.items()}
    return {**{key: now[key] for key in _LATER & now.keys()}, **known}


def differences(was: Any, now: Any, name: str = "") -> Iterator[str]:
    """Yield in what two values of JSON differ, one line each."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in sorted({*was, *now}):
            yield from differences(was.get(key), now.get(key), f"{name}.{key}" if name else key)
    elif was != now:
        yield f"{name} was {_shown(was)}, is {_shown(now)}"


def _shown(value: Any) -> str:
    text = "not there" if value is None else json.dumps(value)
    return text if len(text) <= 100 else f"{text[:100]}..."


def _to_json(record: Mapping[str, Any]) -> str:
    # In ASCII: a table may hold halves of surrogate pairs, which no database takes.
    return json.dumps(record, allow_nan=False, separators=(",", ":"))
