"""How much memory a piece of work takes at its peak."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

needs_proc = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc tells the peak of memory")


@contextmanager
def grows_less_than(megabytes: float) -> Iterator[None]:
    """Fail if this process's resident memory, at its peak inside, is that much above what it was."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts at what is there
    before = memory_bytes("VmRSS")
    try:
        yield
    finally:
        grown = (memory_bytes("VmHWM") - before) / 2**20
        assert grown < megabytes, f"took {grown:.0f} MB"


def memory_bytes(field: str) -> int:
    """Return a field of /proc/self/status: `VmRSS`, `VmHWM` (the peak), `VmSize`."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{field}:")[2].split()[0]) * 1024
