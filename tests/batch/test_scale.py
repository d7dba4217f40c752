"""Many rows (`RETOUCH_TEST_ROWS`): what the batch itself costs, when the model costs nothing."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.batch.builders import base64_of, hashes_of, results_of
from tests.memory import needs_proc

ROOT = Path(__file__).parents[2]
ROWS = int(os.environ.get("RETOUCH_TEST_ROWS", "20000"))


@dataclass(frozen=True)
class Line:
    """What a process told: rows that are kept, seconds, MiB of memory."""

    rows: int
    seconds: float
    memory_mb: int


def _start(table: Path, output: Path) -> "subprocess.Popen[str]":
    path = os.pathsep.join((str(ROOT / "src"), str(ROOT)))
    command = [sys.executable, "-m", "tests.batch.process", str(table), str(output), "0", "8"]
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment)


def _lines(process: "subprocess.Popen[str]", until: int) -> list[Line]:
    assert process.stdout is not None
    found = []
    for text in process.stdout:
        rows, seconds, memory_mb = text.split()
        found.append(Line(int(rows), float(seconds), int(memory_mb)))
        if found[-1].rows >= until:
            break
    return found


@needs_proc
@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_row_costs_little_memory_stays_flat_and_a_killed_run_goes_on_soon(tmp_path: Path) -> None:
    table, output = tmp_path / "in.csv", tmp_path / "out"
    image = base64_of(bytes(600))
    with table.open("w") as file:
        file.write("image,prompt\n")
        for number in range(ROWS):
            file.write(f'"{image}",prompt {number}\n')

    first = _start(table, output)
    lines = _lines(first, ROWS * 6 // 10)
    first.kill()
    first.wait()

    start = time.monotonic()
    second = _start(table, output)
    more = _lines(second, 1)
    resumed_s = time.monotonic() - start
    more += _lines(second, 2 * ROWS)
    assert second.wait() == 0

    done = more[-1].rows - lines[-1].rows
    ms_a_row = 1000 * lines[-1].seconds / lines[-1].rows, 1000 * more[-1].seconds / done
    early, late = lines[len(lines) // 4].memory_mb, lines[-1].memory_mb
    print(
        f"{ms_a_row[0]:.2f} and {ms_a_row[1]:.2f} ms a row, {early} and {late} MiB, resumed in {resumed_s:.1f} s"
    )
    assert max(ms_a_row) < 3
    assert late - early < 40
    assert resumed_s < 10
    assert [line["row"] for line in results_of(output)] == list(range(ROWS))
    assert len(hashes_of(output)) == ROWS
