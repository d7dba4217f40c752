"""How long OpenMP's threads spin for each other before they sleep: told to the runtime before PyTorch loads it.

GNU's runtime, which PyTorch's wheels for Linux carry, lets a thread that waits for its team spin 300,000 times: 16 ms
where `pause` takes 140 cycles. On a quiet machine the wait is over long before. Beside other work the thread that
is waited for has lost its processor, and who spins keeps it from the one that he spins for: each of the thousands
of small operations of a fill then costs a time slice. Asleep at once, as `OMP_WAIT_POLICY=passive` has it, every
operation pays for being woken instead. Spinning for as long as is between two operations has nearly the best of both.
"""

import os
import sys

SPINS = "30000"
"""About 50 us, the time between two small operations; what other lengths cost is in docs/performance.md."""
CHOICES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
"""Variables by which users decide for themselves."""


def spin_briefly() -> None:
    """Bound the spinning, unless the user has chosen; later than now the runtime would not hear it."""
    if "torch" not in sys.modules and not any(name in os.environ for name in CHOICES):
        os.environ["GOMP_SPINCOUNT"] = SPINS
