"""Runs broken files through a door, one after the other, in a process of its own with bounded memory.

`python -m tests.fuzz NAME FIRST COUNT` prints a report as JSON. The process ends itself when a case takes too
long, even within a library; the number of the case that it was at is the last line of its error output.
"""

import faulthandler
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

MOST_SECONDS = 10.0
MOST_BYTES = 2**30
ROOT = Path(__file__).parents[1]

Case = Callable[[int], str]
"""Runs the case of a number; returns how it ended. An exception is a finding."""


@dataclass(frozen=True)
class Report:
    """What a run found: ends by kind, the slowest case, and by how much memory grew."""

    name: str
    cases: int
    ends: dict[str, int]
    foreign: list[str]
    slowest_s: float
    total_s: float
    growth_mb: int


def run_apart(name: str, count: int, *, first: int = 0, timeout_s: float = 240) -> Report:
    """Run cases `first`, `first + 1`, ... of `module:function` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", name, str(first), str(count)],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=timeout_s,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1", "PYTHONWARNINGS": "ignore"},
    )
    assert done.returncode == 0, f"{name} ended with {done.returncode}:\n{done.stderr[-3000:]}"
    return Report(**json.loads(done.stdout.splitlines()[-1]))


def check(name: str, count: int, capsys: "pytest.CaptureFixture[str]") -> None:
    """Run cases, show the report, and fail on any finding: another error than ours, or too much memory or time."""
    report = run_apart(name, count)
    with capsys.disabled():
        print(f"\n{report}")
    assert report.foreign == []
    assert any(report.ends.get(end) for end in ("taken", "whole")), "nothing came through: the cases test nothing"
    assert report.slowest_s < MOST_SECONDS
    assert report.growth_mb * 2**20 < MOST_BYTES


def _main(name: str, first: int, count: int) -> None:
    module, _, function = name.partition(":")
    make: Callable[[], Case] = getattr(import_module(module), function)
    case = make()
    case(first)  # what is imported lazily is no growth
    idle = _bound_memory()
    ends: Counter[str] = Counter()
    foreign, slowest = [], 0.0
    began = time.process_time()
    for number in range(first, first + count):
        print(f"case {number}", file=sys.stderr) if number % 500 == 0 else None
        faulthandler.dump_traceback_later(MOST_SECONDS, exit=True)
        start = time.process_time()
        try:
            ends[case(number)] += 1
        except BaseException as error:  # noqa: BLE001 - a panic is a finding, too
            foreign.append(f"case {number}: {type(error).__name__}: {error}"[:200])
        slowest = max(slowest, time.process_time() - start)
    faulthandler.cancel_dump_traceback_later()
    report = Report(
        name=name,
        cases=count,
        ends=dict(ends),
        foreign=foreign[:20],
        slowest_s=round(slowest, 3),
        total_s=round(time.process_time() - began, 1),
        growth_mb=(_peak() - idle) // 2**20,
    )
    print(json.dumps(asdict(report)))


def _bound_memory() -> int:
    """Allow so much address space more than is taken now; return the peak of memory so far."""
    import resource

    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MOST_BYTES, taken + MOST_BYTES))
    return _peak()


def _peak() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
