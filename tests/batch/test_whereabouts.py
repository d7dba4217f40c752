"""An output is one run's, wherever its ledger is."""

import errno
import fcntl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.batch.builders import StandIn, batch_of, hashes_of, inline_row, stand_in, write_jsonl

from retouch.batch.job import Batch, Engaged, Outcome, run_batch
from retouch.batch.ledger import NAME, Ledger
from retouch.batch.whereabouts import NOTE, reading
from retouch.errors import BadInput, OutputDiffers, OutputInUse


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_jsonl(tmp_path / "in.jsonl", [inline_row(number) for number in range(3)])


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    return tmp_path / "elsewhere.sqlite"


def _run(table: Path, output: Path, ledger: Path | None = None, **more: Any) -> Outcome:
    batch = batch_of(table, output, ledger=ledger, **more)
    return run_batch(batch, lambda: stand_in(batch))


def test_a_run_whose_ledger_is_elsewhere_goes_on_with_it(table: Path, output: Path, elsewhere: Path) -> None:
    assert _run(table, output, elsewhere).made == 3
    assert _run(table, output, elsewhere).made == 0
    assert not (output / NAME).exists()


def test_without_its_ledger_an_output_is_refused_and_left_as_it_is(
    table: Path, output: Path, elsewhere: Path, tmp_path: Path
) -> None:
    _run(table, output, elsewhere)
    before = hashes_of(output)
    for forgotten in (None, tmp_path / "other.sqlite"):
        with pytest.raises(OutputDiffers, match=str(elsewhere)):
            _run(table, output, forgotten, seed=5)
    assert hashes_of(output) == before
    assert not (output / NAME).exists()
    assert not (tmp_path / "other.sqlite").exists()


def test_the_ledger_of_another_output_is_refused(
    table: Path, output: Path, elsewhere: Path, tmp_path: Path
) -> None:
    _run(table, output, elsewhere)
    _run(table, tmp_path / "another", tmp_path / "other.sqlite")
    with pytest.raises(OutputDiffers, match=str(elsewhere)):
        _run(table, output, tmp_path / "other.sqlite")


def test_an_output_with_a_ledger_takes_none_elsewhere(table: Path, output: Path, elsewhere: Path) -> None:
    _run(table, output)
    with pytest.raises(OutputDiffers, match="ledger in it"):
        _run(table, output, elsewhere)
    assert not elsewhere.exists()


def test_a_ledger_may_move(table: Path, output: Path, elsewhere: Path, tmp_path: Path) -> None:
    _run(table, output)
    (output / NAME).rename(elsewhere)
    assert _run(table, output, elsewhere).made == 0
    elsewhere.rename(tmp_path / "other.sqlite")
    assert _run(table, output, tmp_path / "other.sqlite").made == 0
    (tmp_path / "other.sqlite").rename(output / NAME)
    assert _run(table, output).made == 0
    assert not (output / NOTE).exists()


def test_a_refused_run_binds_no_output_to_its_ledger(
    table: Path, output: Path, elsewhere: Path, tmp_path: Path
) -> None:
    _run(table, tmp_path / "another", elsewhere, seed=1)
    with pytest.raises(OutputDiffers, match="seed"):
        _run(table, output, elsewhere, seed=2)
    assert _run(table, output, seed=2).made == 3


def test_two_runs_on_one_output_are_refused_whatever_their_ledgers(
    table: Path, output: Path, elsewhere: Path, tmp_path: Path
) -> None:
    entered, gate = threading.Event(), threading.Event()
    batch = batch_of(table, output, ledger=elsewhere)

    @contextmanager
    def held(batch: Batch) -> Iterator[Engaged]:
        entered.set()
        with stand_in(batch, StandIn(batch, gate=gate)) as engaged:
            yield engaged

    first = threading.Thread(target=run_batch, args=(batch, lambda: held(batch)))
    first.start()
    try:
        assert entered.wait(30)
        with pytest.raises(OutputInUse, match=str(output)):
            _run(table, output, tmp_path / "other.sqlite")
        with pytest.raises(OutputDiffers, match=str(output)):
            _run(table, output)
    finally:
        gate.set()
        first.join()


def test_an_output_without_locks_takes_a_ledger_elsewhere(
    table: Path, output: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fcntl.flock

    def flock(file: Any, operation: int) -> None:
        if output in Path(file.name).parents:
            raise OSError(errno.ENOLCK, "no locks available")
        real(file, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    assert _run(table, output, elsewhere).is_all_done
    assert _run(table, output, elsewhere).made == 0


def test_a_ledger_elsewhere_is_told_to_who_looks_for_it(table: Path, output: Path, elsewhere: Path) -> None:
    _run(table, output, elsewhere)
    with pytest.raises(OutputDiffers, match=str(elsewhere)), reading(output, None):
        pass
    with reading(output, elsewhere) as ledger:
        assert ledger.counts().total() == 3


@pytest.mark.parametrize("content", [b"", b"x" * 5000], ids=["empty", "garbage"])
def test_what_is_no_ledger_is_told_when_it_is_read(output: Path, content: bytes) -> None:
    output.mkdir()
    (output / NAME).write_bytes(content)
    with pytest.raises(BadInput, match="cannot be read as a ledger"), reading(output, None) as ledger:
        ledger.counts()


def test_a_ledger_of_a_later_version_is_told_when_it_is_read(table: Path, output: Path) -> None:
    _run(table, output)
    with closing(Ledger.open(output / NAME)) as ledger:
        ledger._database.execute("PRAGMA user_version = 99")
    with pytest.raises(BadInput, match="later version"), reading(output, None):
        pass
