"""The same job on a Ray cluster of several nodes: the same pictures, whatever is killed."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.batch.builders import (
    base64_of,
    batch_of,
    hashes_of,
    inline_row,
    picture_png,
    results_of,
    stand_in,
    temporaries_of,
    write_csv,
)
from tests.batch.remote.nodes import ROOT, Nodes, cluster_of
from tests.batch.remote.process import POISON, run

from retouch.batch.job import run_batch
from retouch.batch.ledger import NAME
from retouch.batch.remote.cluster import joined, needs_of, places_for
from retouch.errors import BadInput, Unavailable

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ROWS = 60
PAUSE_S = 0.1


@pytest.fixture(scope="module", autouse=True)
def _ray() -> None:
    pytest.importorskip("ray")


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with cluster_of(2) as started:
        yield started


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures in cells and in files, and some bad rows."""
    folder = tmp_path_factory.mktemp("input")
    (folder / "picture.png").write_bytes(picture_png(9))
    rows = [inline_row(number % 5, f"prompt {number}", id=f"row {number}") for number in range(ROWS)]
    rows[2]["image"] = "picture.png"
    rows[3]["image"] = "missing.png"
    rows[4]["image"] = "../outside.png"
    rows[5]["image"] = base64_of(b"x")[:-3] + "?"
    return write_csv(folder / "in.csv", rows)


@pytest.fixture(scope="module")
def undisturbed(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run in one process makes of it."""
    output = tmp_path_factory.mktemp("undisturbed") / "out"
    batch = batch_of(table, output)
    run_batch(batch, lambda: stand_in(batch))
    return output


def _assert_equal(output: Path, undisturbed: Path) -> None:
    assert hashes_of(output) == hashes_of(undisturbed)
    assert (output / "results.jsonl").read_bytes() == (undisturbed / "results.jsonl").read_bytes()
    assert temporaries_of(output) == []


def _painted(log: Path) -> list[int]:
    return [int(line) for line in log.read_text().split()]


def _kept(output: Path) -> set[int]:
    with sqlite3.connect(f"file:{output / NAME}?mode=ro", uri=True) as database:
        return {row for (row,) in database.execute("SELECT row FROM rows")}


def test_results_are_those_of_a_run_in_one_process(
    nodes: Nodes, table: Path, undisturbed: Path, tmp_path: Path
) -> None:
    run(table, tmp_path / "out", nodes.address, tmp_path / "log")
    _assert_equal(tmp_path / "out", undisturbed)
    assert sorted(_painted(tmp_path / "log")) == list(range(ROWS))


def _started(table: Path, output: Path, nodes: Nodes, log: Path) -> "subprocess.Popen[str]":
    """Start a run that takes a while, and wait for the first rows that are kept."""
    command = [sys.executable, "-m", "tests.batch.remote.process", str(table), str(output), nodes.address]
    process = subprocess.Popen(
        [*command, str(log), str(PAUSE_S)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    assert 0 < int(process.stdout.readline()) < ROWS
    return process


def test_a_driver_that_is_killed_goes_on_with_what_is_not_recorded(
    nodes: Nodes, table: Path, undisturbed: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    with _started(table, output, nodes, tmp_path / "log-1") as process:
        process.send_signal(signal.SIGKILL)
    kept = _kept(output)
    assert 0 < len(kept) < ROWS
    outcome = run(table, output, nodes.address, tmp_path / "log-2")
    assert outcome.made == ROWS - len(kept)
    assert set(_painted(tmp_path / "log-2")) == set(range(ROWS)) - kept
    _assert_equal(output, undisturbed)


def test_a_row_that_ends_its_process_fails_alone(nodes: Nodes, tmp_path: Path) -> None:
    prompts = [POISON if number == 7 else f"prompt {number}" for number in range(20)]
    source = write_csv(tmp_path / "in.csv", [inline_row(0, prompt) for prompt in prompts])
    outcome = run(source, tmp_path / "out", nodes.address, tmp_path / "log")
    assert dict(outcome.counts) == {"done": 19, "failed": 1}
    told = results_of(tmp_path / "out")[7]
    assert (told["status"], told["error"]["code"]) == ("failed", "generation_failed")
    assert _painted(tmp_path / "log").count(7) == 3


@pytest.mark.parametrize("count", [2, 1], ids=["of two", "the only one, and another comes"])
def test_a_node_that_is_killed_in_mid_job_changes_no_picture(
    table: Path, undisturbed: Path, tmp_path: Path, count: int
) -> None:
    with cluster_of(count) as nodes:
        with _started(table, tmp_path / "out", nodes, tmp_path / "log") as process:
            nodes.kill(0)
            kept = _kept(tmp_path / "out")
            if count == 1:
                nodes.add()
            process.communicate()
        assert process.returncode == 0
    assert 0 < len(kept) < ROWS
    painted = _painted(tmp_path / "log")
    assert set(painted) == set(range(ROWS))
    assert all(painted.count(row) == 1 for row in kept)
    _assert_equal(tmp_path / "out", undisturbed)


def test_a_cluster_has_as_many_places_as_its_nodes_have_cores(nodes: Nodes) -> None:
    with joined(nodes.address):
        assert places_for(needs_of("auto", None)) == 2
        with pytest.raises(BadInput, match="2 CPUs"):
            places_for(needs_of("auto", 2))
        with pytest.raises(BadInput, match="a GPU"):
            places_for(needs_of("cuda", None))
        with pytest.raises(BadInput, match="cuda:1"):
            needs_of("cuda:1", None)


def test_a_cluster_that_is_not_there_is_told() -> None:
    with pytest.raises(Unavailable, match="cannot be joined"), joined("127.0.0.1:1"):
        pass


_ALONE = """
import psutil, sys
from retouch.batch.remote.cluster import joined
with joined("local"):
    family = psutil.Process().children(recursive=True)
    heard = {c.laddr.ip for one in family for c in one.net_connections("inet") if c.status == psutil.CONN_LISTEN}
    print(*sorted(heard), file=sys.__stdout__)
psutil.wait_procs(family, timeout=60)
print(sum(one.is_running() for one in family))
"""


def test_a_cluster_of_this_machine_alone_listens_to_nobody_else_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """Not even what a run left that was killed."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = Path(tempfile.mkdtemp(prefix=f"retouch-ray-{gone.pid}-", dir="/tmp"))
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": str(ROOT / "src")}
    process = subprocess.Popen(
        [sys.executable, "-c", _ALONE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    told, complaints = process.communicate()
    assert process.returncode == 0, complaints
    heard, running = told.splitlines()
    assert heard
    assert set(heard.split()) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    assert running == "0"
    assert complaints == ""
    assert list(home.iterdir()) == []
    assert not left.exists()
    assert list(Path("/tmp").glob(f"retouch-ray-{process.pid}-*")) == []


def test_with_a_model_the_command_line_makes_the_same_pictures_with_a_node_killed_in_mid_job(
    checkpoint: Path, tmp_path: Path
) -> None:
    rows = [inline_row(number, f"a {word}") for number, word in enumerate(("cat", "hat", "dog", "cup") * 25)]
    source = write_csv(tmp_path / "in.csv", rows)
    options = ["--steps", "8", "--model", str(checkpoint), "--threads", "1"]
    with cluster_of(2) as nodes:
        command = [sys.executable, "-m", "retouch.cli", "batch", "run", str(source), *options, "--output"]
        subprocess.run([*command, str(tmp_path / "local")], check=True, cwd=ROOT, env=os.environ)
        process = subprocess.Popen(
            [*command, str(tmp_path / "out"), "--ray", nodes.address, "--json"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        while not _kept_yet(tmp_path / "out"):
            with suppress(subprocess.TimeoutExpired):
                raise AssertionError(process.wait(0.05))
        nodes.kill(1)
        assert len(_kept(tmp_path / "out")) < len(rows)
        told, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    assert json.loads(told)["rows"] == {"done": len(rows)}
    assert hashes_of(tmp_path / "out") == hashes_of(tmp_path / "local")


def _kept_yet(output: Path) -> set[int]:
    try:
        return _kept(output)
    except sqlite3.OperationalError:  # it is being made
        return set()
