"""The ledger keeps rows whole, knows its run, and lets one in."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from retouch.batch.entry import Entry, StoredFile
from retouch.batch.ledger import Ledger
from retouch.errors import BadInput, OutputDiffers, OutputInUse
from retouch.jobs.folder import is_on_network


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with closing(Ledger.open(path)) as opened:
        yield opened


def _entry(row: int, status: str = "done", files: int = 1) -> Entry:
    stored = tuple(StoredFile(f"pictures/{row}-{k}.png", "ab", 3, 4) for k in range(files))
    return Entry(row, status, {"id": f"é{row}"}, stored)  # type: ignore[arg-type]


def test_rows_come_back_in_the_order_of_the_input_with_their_files(ledger: Ledger) -> None:
    ledger.add([_entry(5), _entry(2, files=3)])
    ledger.add([_entry(0, "failed", files=0)])
    kept = list(ledger.kept())
    assert [one.record["id"] for one in kept] == ["é0", "é2", "é5"]
    assert kept[1].files == ("pictures/2-0.png", "pictures/2-1.png", "pictures/2-2.png")
    assert dict(ledger.counts()) == {"done": 2, "failed": 1}


def test_a_row_that_comes_again_takes_the_place_of_the_first(ledger: Ledger) -> None:
    ledger.add([_entry(1, files=3)])
    ledger.add([_entry(1, files=1)])
    assert [one.files for one in ledger.kept()] == [("pictures/1-0.png",)]


def test_what_is_finished_is_known_by_number(ledger: Ledger) -> None:
    ledger.add([_entry(0), _entry(1_000), _entry(7)])
    finished = ledger.finished()
    assert [row for row in range(2_000) if row in finished] == [0, 7, 1_000]
    ledger.forget([7])
    assert 7 not in ledger.finished()


def test_a_second_run_is_told_who_has_the_output(ledger: Ledger, path: Path) -> None:
    with pytest.raises(OutputInUse, match="process"):
        Ledger.open(path)


def test_it_can_be_read_beside_a_run(ledger: Ledger, path: Path) -> None:
    ledger.add([_entry(3)])
    with closing(Ledger.read(path)) as reader:
        assert dict(reader.counts()) == {"done": 1}


def test_what_the_run_is_stays_what_it_is(path: Path) -> None:
    with closing(Ledger.open(path)) as ledger:
        ledger.agree("settings", {"a": {"b": 1, "c": (1, 2)}})
        ledger.agree("settings", {"a": {"c": [1, 2], "b": 1}})
    with closing(Ledger.open(path)) as ledger, pytest.raises(OutputDiffers, match=r"a\.b was 1, is 2"):
        ledger.agree("settings", {"a": {"b": 2, "c": [1, 2]}})


def test_what_an_earlier_version_did_not_note_is_noted_by_the_first_run_that_agrees(ledger: Ledger) -> None:
    ledger.agree("model", {"content_hash": "a"})
    with pytest.raises(OutputDiffers):
        ledger.agree("model", {"content_hash": "b", "config": {"prediction_type": "sample"}})
    ledger.agree("model", {"content_hash": "a", "config": {"prediction_type": "epsilon"}})
    with pytest.raises(OutputDiffers, match=r'config\.prediction_type was "epsilon", is "sample"'):
        ledger.agree("model", {"content_hash": "a", "config": {"prediction_type": "sample"}})


def test_many_differences_are_counted(ledger: Ledger) -> None:
    ledger.agree("input", {str(k): k for k in range(30)})
    with pytest.raises(OutputDiffers, match="and 20 more"):
        ledger.agree("input", {})


def test_what_is_no_ledger_is_refused(path: Path) -> None:
    path.write_bytes(b"no database, but long enough to be taken for one" * 100)
    with pytest.raises(BadInput, match="no ledger"):
        Ledger.open(path)
    with pytest.raises(BadInput, match="no batch run"):
        Ledger.read(path.with_name("other.sqlite"))


def test_the_reserve_is_there_while_the_run_is(path: Path) -> None:
    with closing(Ledger.open(path)) as ledger:
        reserve = path.with_name(".ledger.sqlite.reserve")
        assert reserve.stat().st_blocks * 512 >= 2**20
        ledger.note("the disk is full")
        assert not reserve.exists()
        assert [what for _, what in ledger.events()] == ["the disk is full"]


def test_the_reserve_needs_nothing_that_only_linux_has(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    with closing(Ledger.open(path)):
        assert path.with_name(".ledger.sqlite.reserve").exists()


def test_a_local_disk_is_not_taken_for_a_network(tmp_path: Path) -> None:
    assert not is_on_network(tmp_path)
