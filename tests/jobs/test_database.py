"""Transactions are whole, durable and one at a time; readers do not wait for them."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from retouch.errors import Draining, StorageFailed
from retouch.jobs.database import Database

SCHEMA = "CREATE TABLE things (name TEXT UNIQUE); CREATE INDEX by_name ON things (name)"


def open_at(path: Path, version: int = 1) -> Database:
    return Database.open(path, schema=SCHEMA, version=version)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_at(tmp_path / "db")
    yield opened
    opened.close()


def add(name: str, connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO things VALUES (?)", (name,))


def names(database: Database) -> list[str]:
    with database.reading() as connection:
        return [name for (name,) in connection.execute("SELECT name FROM things ORDER BY name")]


def test_a_change_is_there_for_readers_and_after_a_restart(tmp_path: Path) -> None:
    first = open_at(tmp_path / "db")
    first.write(lambda connection: add("a", connection))
    assert names(first) == ["a"]
    first.close()
    second = open_at(tmp_path / "db")
    assert names(second) == ["a"]
    second.close()


def test_a_change_that_fails_is_undone_whole(database: Database) -> None:
    def change(connection: sqlite3.Connection) -> None:
        add("a", connection)
        raise KeyError("a defect")

    with pytest.raises(KeyError):
        database.write(change)
    database.write(lambda connection: add("b", connection))
    assert names(database) == ["b"]


def test_commits_wait_for_the_disk(database: Database) -> None:
    modes = database.write(
        lambda connection: [
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")
        ]
    )
    assert modes == ["wal", 2]


def test_readers_read_beside_a_writer_and_cannot_write(database: Database) -> None:
    database.write(lambda connection: add("a", connection))

    def change(connection: sqlite3.Connection) -> None:
        add("b", connection)
        assert names(database) == ["a"]

    database.write(change)
    with pytest.raises(StorageFailed), database.reading() as connection:
        add("c", connection)
    assert names(database) == ["a", "b"]


def test_readers_are_made_at_once_and_never_more(database: Database, tmp_path: Path) -> None:
    def held() -> int:
        """Count our descriptors of the database; one of a connection closed too early would stay."""
        return sum(os.path.realpath(link).startswith(str(tmp_path)) for link in Path("/proc/self/fd").iterdir())

    before, at_once = held(), threading.Barrier(4)

    def read() -> None:
        with database.reading() as connection:
            connection.execute("SELECT count(*) FROM things").fetchone()
            at_once.wait(timeout=30)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not at_once.broken
    assert held() == before
    database.close()
    assert held() == 0


def test_no_reader_in_time_is_an_error(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retouch.jobs.database._WAIT_S", 0.01)
    with ExitStack() as readers:
        for _ in range(4):
            readers.enter_context(database.reading())
        with pytest.raises(StorageFailed, match="busy"):
            names(database)
    assert names(database) == []


def test_who_waits_for_a_reader_hears_that_it_was_closed(database: Database) -> None:
    heard: list[BaseException] = []

    def read() -> None:
        try:
            names(database)
        except Draining as error:
            heard.append(error)

    with ExitStack() as readers:
        for _ in range(4):
            readers.enter_context(database.reading())
        waiting = threading.Thread(target=read)
        waiting.start()
        database.close()
    waiting.join(timeout=30)
    assert len(heard) == 1


def test_a_full_database_is_told_and_nothing_changed(database: Database) -> None:
    database.write(lambda connection: connection.execute("PRAGMA max_page_count = 8"))
    with pytest.raises(StorageFailed):
        database.write(lambda connection: add("a" * 1_000_000, connection))
    database.write(lambda connection: add("b", connection))
    assert names(database) == ["b"]


def test_our_own_mistakes_are_not_taken_for_the_disks(database: Database) -> None:
    database.write(lambda connection: add("a", connection))
    with pytest.raises(sqlite3.IntegrityError):
        database.write(lambda connection: add("a", connection))


def test_a_closed_database_says_so(database: Database) -> None:
    assert database.close()
    assert not database.close()
    with pytest.raises(Draining):
        database.write(lambda connection: add("a", connection))
    with pytest.raises(Draining), database.reading():
        pass


def test_a_reader_at_work_outlives_the_closing(database: Database) -> None:
    database.write(lambda connection: add("a", connection))
    with database.reading() as connection:
        database.close()
        assert connection.execute("SELECT count(*) FROM things").fetchone() == (1,)
    assert database._idle.empty()


def test_files_are_their_owners_alone(tmp_path: Path, database: Database) -> None:
    database.write(lambda connection: add("a", connection))
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert modes == {"db": 0o600, "db-wal": 0o600, "db-shm": 0o600}


def test_another_versions_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    open_at(tmp_path / "db", version=2).close()
    with pytest.raises(StorageFailed, match="schema 2, here 1"):
        open_at(tmp_path / "db", version=1)
    open_at(tmp_path / "db", version=2).close()


def test_an_older_versions_database_is_brought_up_to_this_one(tmp_path: Path) -> None:
    old = open_at(tmp_path / "db", version=1)
    old.write(lambda connection: add("a", connection))
    old.close()
    upgrades = {1: "ALTER TABLE things ADD COLUMN size INTEGER DEFAULT 7", 2: "UPDATE things SET size = size + 1"}
    database = Database.open(tmp_path / "db", schema="", version=3, upgrades=upgrades)
    with database.reading() as connection:
        assert connection.execute("SELECT size FROM things").fetchall() == [(8,)]
    database.close()
    with pytest.raises(StorageFailed, match="schema 3, here 1"):
        open_at(tmp_path / "db", version=1)


def test_servers_of_several_machines_keep_no_log_in_shared_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retouch.jobs.database.is_on_network", lambda _: True)
    database = Database.open(tmp_path / "db", schema="CREATE TABLE things (name TEXT)", version=1, is_shared=True)
    database.write(lambda connection: connection.execute("INSERT INTO things VALUES ('a')"))
    assert {file.name for file in tmp_path.iterdir()} == {"db"}
    database.close()


def test_a_file_that_is_no_database_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "db").write_bytes(b"no database" * 1000)
    with pytest.raises(StorageFailed, match="cannot be used as a database"):
        open_at(tmp_path / "db")
