"""Killed, out of room, on a failing disk: run again, a batch ends as one that nobody disturbed."""

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.batch.builders import (
    hashes_of,
    inline_row,
    results_of,
    temporaries_of,
    write_csv,
)

ROOT = Path(__file__).parents[2]
ROWS = 300
BAD = range(7, ROWS, 10)
"""Rows whose picture is damaged: a tenth."""


def _command(source: Path, output: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "tests.batch.process", str(source), str(output), *more]


def _environment(**more: str) -> dict[str, str]:
    path = os.pathsep.join((str(ROOT / "src"), str(ROOT)))
    return {**os.environ, "PYTHONPATH": path, **more}


def _run(source: Path, output: Path, *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _command(source, output, *more),
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=_environment(**environment),
        timeout=250,
    )


def _table(folder: Path, rows: int) -> Path:
    cells = [inline_row(number % 5, f"prompt {number}") for number in range(rows)]
    for number in range(7, rows, 10):
        cells[number]["image"] = cells[number]["image"][:50] + "?" + cells[number]["image"][51:]
    return write_csv(folder / "in.csv", cells, index=True)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _table(tmp_path_factory.mktemp("input"), ROWS)


@pytest.fixture(scope="module")
def undisturbed(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("undisturbed") / "out"
    assert _run(table, output).returncode == 1
    return output


def _assert_equal(output: Path, undisturbed: Path) -> None:
    assert hashes_of(output) == hashes_of(undisturbed)
    assert (output / "results.jsonl").read_bytes() == (undisturbed / "results.jsonl").read_bytes()
    assert temporaries_of(output) == []


def test_an_undisturbed_run_has_each_row_once_and_tells_the_bad_ones(undisturbed: Path) -> None:
    results = results_of(undisturbed)
    assert [line["row"] for line in results] == list(range(ROWS))
    assert [line["row"] for line in results if line["status"] == "failed"] == list(BAD)
    assert len(hashes_of(undisturbed)) == ROWS - len(BAD)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_killed_at_random_moments_a_batch_ends_as_if_it_had_not_been(
    table: Path, undisturbed: Path, tmp_path: Path, seed: int
) -> None:
    """Five kills each: after a number of rows that were told as kept, or before the first."""
    moments = random.Random(seed)
    output = tmp_path / "out"
    counted: list[int] = []
    for _ in range(5):
        process = subprocess.Popen(
            _command(table, output, "0.02"), stdout=subprocess.PIPE, text=True, cwd=ROOT, env=_environment()
        )
        assert process.stdout is not None
        lines = moments.randrange(0, 4)
        for _, line in zip(range(lines), process.stdout):
            counted.append(int(line.split()[0]))
        _spend(moments.random() * 3e5)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    assert _run(table, output).returncode == 1
    assert counted == sorted(counted)  # what was counted once was never lost
    _assert_equal(output, undisturbed)


def _spend(turns: float) -> None:
    """Let a moment pass that no event marks."""
    for _ in range(int(turns)):
        pass


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB, where this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_on_a_full_disk_a_batch_stops_and_goes_on_when_there_is_room(
    table: Path, undisturbed: Path, small_disk: Path
) -> None:
    output = small_disk / "out"
    (small_disk / "ballast").write_bytes(bytes(600 * 1024))
    stopped = _run(table, output)
    assert stopped.returncode == 1
    assert "free some space" in stopped.stderr
    assert temporaries_of(output) == []
    assert not (output / "results.jsonl").exists()
    (small_disk / "ballast").unlink()
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    assert _run(table, output).returncode == 1
    _assert_equal(output, undisturbed)


def test_a_disk_that_is_full_at_the_start_is_told(table: Path, small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(bytes(1500 * 1024))
    stopped = _run(table, small_disk / "out")
    assert stopped.returncode == 1
    assert "cannot be written" in stopped.stderr
    assert "Traceback" not in stopped.stderr


@pytest.fixture(scope="module")
def failing_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if sys.platform != "linux" or shutil.which("cc") is None:
        pytest.skip("needs a C compiler on Linux")
    library = tmp_path_factory.mktemp("library") / "failing_disk.so"
    source = Path(__file__).with_name("failing_disk.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    return library


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A small table, and the output of an undisturbed run over it."""
    folder = tmp_path_factory.mktemp("few")
    table = _table(folder, 20)
    assert _run(table, folder / "out").returncode == 1
    return table, folder / "out"


def _failing(
    library: Path, table: Path, output: Path, kind: str, at: int, *, lasts: bool = False
) -> tuple[subprocess.CompletedProcess[str], int]:
    """Run with the `at`-th call of a kind failing; return the run and how many such calls it made."""
    count = output.with_name("count")
    done = _run(
        table,
        output,
        LD_PRELOAD=str(library),
        FAIL_BELOW=str(output),
        FAIL_KIND=kind,
        FAIL_AT=str(at),
        FAIL_LASTS=str(int(lasts)),
        FAIL_COUNT=str(count),
    )
    return done, int(count.read_text())


def _assert_survives(
    library: Path, few: tuple[Path, Path], folder: Path, kind: str, at: int, *, lasts: bool
) -> None:
    table, undisturbed = few
    output = folder / f"{kind}-{at}-{lasts}" / "out"
    output.parent.mkdir()
    stopped, _ = _failing(library, table, output, kind, at, lasts=lasts)
    assert stopped.returncode == 1, stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert "unexpected" not in stopped.stderr
    assert _run(table, output).returncode == 1
    _assert_equal(output, undisturbed)


@pytest.mark.parametrize("kind", ["write", "sync", "rename"])
def test_one_failure_of_the_disk_in_the_middle_loses_nothing(
    failing_disk: Path, few: tuple[Path, Path], tmp_path: Path, kind: str
) -> None:
    _, calls = _failing(failing_disk, few[0], tmp_path / "out", kind, 0)
    assert calls > 4
    _assert_survives(failing_disk, few, tmp_path, kind, calls // 2, lasts=False)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("lasts", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("kind", ["write", "sync", "rename"])
def test_whichever_call_fails_nothing_is_lost_and_nothing_is_twice(
    failing_disk: Path, few: tuple[Path, Path], tmp_path: Path, kind: str, lasts: bool
) -> None:
    _, calls = _failing(failing_disk, few[0], tmp_path / "out", kind, 0)
    step = int(os.environ.get("RETOUCH_TEST_FAULT_STEP", "7"))
    for at in range(1, calls + 1, step):
        _assert_survives(failing_disk, few, tmp_path, kind, at, lasts=lasts)
