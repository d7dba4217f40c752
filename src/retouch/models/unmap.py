"""Weights off the file that they were mapped from, without ever holding them twice.

Weights on the CPU may be a view of a mapped file: whoever overwrites that file would change, or kill (SIGBUS), a
running process. So they are copied; and as the pages of a mapping stay in memory once they were read, those of
each weight are given back as soon as it is copied.
"""

import ctypes
import mmap
import sys
from bisect import bisect_right
from pathlib import Path

import torch

_MAPS = Path("/proc/self/maps")


def unmap(module: torch.nn.Module) -> None:
    """Copy what a module holds on the CPU (in place), convolutions' weights as channels-last."""
    files = _mapped_files()
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.device.type != "cpu":
            continue
        # Convolutions read channels-last weights without reordering them at every call.
        layout = torch.channels_last if tensor.ndim == 4 else torch.contiguous_format
        copied = tensor.detach().clone(memory_format=layout)
        _give_back(tensor, files)
        tensor.data = copied


def _mapped_files() -> list[tuple[int, int]]:
    """Address ranges of mapped files, in order; none where the system does not tell."""
    if not sys.platform.startswith("linux") or not _MAPS.exists():
        return []
    ranges = []
    for line in _MAPS.read_text(encoding="utf-8", errors="replace").splitlines():
        span, _, _, _, inode, *_ = line.split(maxsplit=5)
        if inode != "0":
            start, end = (int(address, 16) for address in span.split("-"))
            ranges.append((start, end))
    return ranges


def _give_back(tensor: torch.Tensor, files: list[tuple[int, int]]) -> None:
    """Drop the whole pages of a tensor in a mapped file; they would be read again from there if need be."""
    start, size = tensor.data_ptr(), tensor.numel() * tensor.element_size()
    at = bisect_right(files, (start, sys.maxsize)) - 1
    if at < 0 or not files[at][0] <= start < start + size <= files[at][1]:
        return
    first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
    last = (start + size) // mmap.PAGESIZE * mmap.PAGESIZE
    if last > first:
        # They hold this tensor alone, which was copied; a refusal only costs memory.
        ctypes.CDLL(None).madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), mmap.MADV_DONTNEED)
