"""The log of a training run: one line a report, with rate and time to go."""

import json
import time
from collections.abc import Callable
from pathlib import Path

from torch import Tensor


class RunLog:
    """Appends JSON lines to a file; the owner's thread only.

    A report holds the means of the values noted since the last one, samples a second and the seconds to go.
    """

    def __init__(self, path: Path, *, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._total = total
        self._clock = clock
        self._sums: dict[str, float | Tensor] = {}
        self._counts: dict[str, int] = {}
        self._started: tuple[float, int] | None = None
        path.parent.mkdir(parents=True, exist_ok=True)

    def note(self, **values: float | Tensor) -> None:
        """Add values (losses, a learning rate) to the running means; tensors stay where they are."""
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._counts[name] = self._counts.get(name, 0) + 1

    def report(self, *, step: int, samples: int) -> dict[str, float]:
        """Write and return the line for `step`; `samples` counts from the beginning of the run."""
        now = self._clock()
        line: dict[str, float] = {"step": step, "samples": samples}
        line |= {name: round(float(total) / self._counts[name], 6) for name, total in self._sums.items()}
        if self._started is not None and now > self._started[0]:
            rate = (samples - self._started[1]) / (now - self._started[0])
            line["rate"] = round(rate, 2)
            line["eta_s"] = round((self._total - samples) / rate) if rate > 0 else -1
        self._started = (now, samples)
        self._sums.clear()
        self._counts.clear()
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        return line
