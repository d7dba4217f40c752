"""How long OpenMP's threads spin for each other before they sleep: told to the runtime before PyTorch loads it.

GNU's runtime, which PyTorch's wheels for Linux carry, lets a thread that waits for its team spin 300,000 times:
16 ms where `pause` takes 140 cycles. The waits of a fill are far shorter, except where the one that is waited for
lost its processor to other work: who spins then keeps it from the one that it spins for. A tenth of that length
costs less beside other work; `engine/yielding.py` does the rest.
"""

import os
import sys

SPINS = "30000"
"""Some 1.6 ms."""
CHOICES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
"""Variables by which users decide for themselves."""


def spin_briefly() -> None:
    """Bound the spinning, unless the user has chosen; later than now the runtime would not hear it."""
    if "torch" not in sys.modules and not any(name in os.environ for name in CHOICES):
        os.environ["GOMP_SPINCOUNT"] = SPINS
