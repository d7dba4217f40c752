"""The OpenMP workers behind PyTorch's CPU operations: every thread that computes has a team of its own.

GNU's runtime, which PyTorch's wheels for Linux carry, keeps an idle team alive and counts it: with more threads
than processors, workers no longer spin between two operations but sleep (`do_spin` in libgomp's
config/linux/wait.h), and each of the thousands of small operations of a call pays for waking them. One thread that
once computed, and then only waits for the engine, slows it down: on 2 cores, 6.9 s a decode instead of 4.3 s.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch

_SOFT = 1
"""`omp_pause_soft`, OpenMP 5.0, section 3.6: what is released comes back when it is needed."""
_process = os.getpid()
"""Where this module was loaded. In a forked child a team's workers do not exist, and GNU's runtime would wait for
them for ever."""


def release_workers() -> None:
    """End the calling thread's idle team; its next parallel operation makes a new one within a fraction of a ms.

    Nothing happens inside a parallel region, in a forked process, or where the runtime is another than GNU's of
    GCC 9 or later.
    """
    if (runtime := gnu_runtime()) is not None:
        runtime.omp_pause_resource_all(_SOFT)


@contextmanager
def on_threads(count: int) -> Iterator[None]:
    """Compute on so many threads inside the block, where the runtime is GNU's; no other thread is concerned.

    `torch.set_num_threads` would tell threads that begin meanwhile, too, and empties caches.
    """
    runtime, before = gnu_runtime(), torch.get_num_threads()
    _set_threads(runtime, count)
    try:
        yield
    finally:
        _set_threads(runtime, before)


def _set_threads(runtime: ctypes.CDLL | None, count: int) -> None:
    if runtime is None:
        return
    runtime.omp_set_num_threads(count)
    # Intel's library, which few processors' builds carry, goes by a number of its own.
    if hasattr(runtime, "MKL_Set_Num_Threads_Local"):
        runtime.MKL_Set_Num_Threads_Local(count)


def gnu_runtime() -> ctypes.CDLL | None:
    """Return GNU's runtime (GCC 9 or later) as PyTorch uses it; None for another one, or in a forked process."""
    return _runtime() if os.getpid() == _process else None


@cache
def _runtime() -> ctypes.CDLL | None:
    # A look-up through PyTorch's own library goes on to those that it is linked to: it finds the very runtime in
    # use, whatever other copies the process has loaded.
    try:
        library = ctypes.CDLL(torch._C.__file__)
    except OSError:
        return None
    # LLVM's runtime has the function too, but pauses the whole process by it, calls under way included.
    return library if hasattr(library, "GOMP_parallel") and hasattr(library, "omp_pause_resource_all") else None
