"""What the allocator keeps for later is given back."""

import ctypes
import sys
from pathlib import Path

import pytest

from retouch.serve.allocator import give_back

BLOCK, BLOCKS = 16 << 10, 4000


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or not hasattr(ctypes.CDLL(None), "malloc_trim"),
    reason="only GNU's allocator is told to give memory back",
)
def test_pages_between_blocks_that_are_in_use_are_given_back() -> None:
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    library.free.argtypes = [ctypes.c_void_p]
    give_back()
    before = resident_bytes()
    blocks = [library.malloc(BLOCK) for _ in range(BLOCKS)]
    for block in blocks:
        ctypes.memset(block, 1, BLOCK)
    in_use = blocks[::100]  # so that no heap can shrink from its end
    for block in set(blocks) - set(in_use):
        library.free(block)
    kept = resident_bytes() - before
    assert kept > BLOCK * BLOCKS / 2
    give_back()
    assert resident_bytes() - before < kept / 4
    for block in in_use:
        library.free(block)
