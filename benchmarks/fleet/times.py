"""How long calls take, by their rows: measured on this machine, or published for GPUs."""

import json
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from retouch.engine.scheduler import Stage
from retouch.engine.settings import ROWS_PER_PICTURE

MEASURED = Path(__file__).with_name("measured.json")


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of a call of each kind, by its rows.

    Attributes:
        seconds: at the rows that are known; lines run between them, and on beyond the last.
        before_s, after_s: of a core of the host, to read, decode and prepare a request, and to composite, judge,
            encode and send its picture.
        source: where the numbers are from.
    """

    seconds: Mapping[Stage, Mapping[int, float]]
    before_s: float = 0.0
    after_s: float = 0.0
    source: str = ""
    _known: dict[tuple[Stage, int], float] = field(default_factory=dict, compare=False, repr=False)

    def call_s(self, kind: Stage, rows: int) -> float:
        """Return the seconds of one call."""
        if (kind, rows) not in self._known:
            self._known[kind, rows] = on_line(self.seconds[kind], rows)
        return self._known[kind, rows]

    def most_per_s(self, steps: int, row_cap: int) -> float:
        """Return the guided pictures a second of a device whose calls are full all along."""
        pictures = max(1, row_cap // 2)
        decoded = max(1, row_cap // ROWS_PER_PICTURE)
        each_s = steps * self.call_s(Stage.STEP, 2 * pictures) / pictures
        each_s += self.call_s(Stage.TEXT, 2 * pictures) / pictures
        each_s += sum(self.call_s(kind, decoded) for kind in (Stage.PICTURES, Stage.DECODE)) / decoded
        return 1 / each_s

    def fill_s(self, steps: int, pictures: int) -> float:
        """Return the seconds of the calls of so many guided pictures that go the whole way together."""
        rows = {Stage.TEXT: 2 * pictures, Stage.PICTURES: pictures, Stage.DECODE: pictures}
        return steps * self.call_s(Stage.STEP, 2 * pictures) + sum(self.call_s(*one) for one in rows.items())


def on_line(known: Mapping[int, float], at: int) -> float:
    """Return the value at a point, on lines through those that are known; before the first it is the first's."""
    points = sorted(known)
    if at <= points[0] or len(points) == 1:
        return known[points[0]] * max(1.0, at / points[0])
    right = min(max(1, bisect_left(points, at)), len(points) - 1)
    low, high = points[right - 1], points[right]
    return known[low] + (known[high] - known[low]) * (at - low) / (high - low)


def read(path: Path = MEASURED, *, side: int = 256) -> Times:
    """Return what `--measure` wrote of a machine, for pictures of so many pixels a side."""
    told = json.loads(path.read_text(encoding="utf-8"))
    return Times(
        seconds={
            Stage(name): {int(rows): s for rows, s in known.items()} for name, known in told["call_s"].items()
        },
        before_s=told["host_s"][str(side)]["before"],
        after_s=told["host_s"][str(side)]["after"],
        source=f"measured on {told['machine']}, {told['date']}",
    )


# Teraflops of Stable Diffusion 1.5 at 512x512, counted: one guided step, and the other calls of one picture. What
# was published are steps or whole fills; the other calls are derived from them by these.
_STEP, _WORK = 1.607, {Stage.TEXT: 0.054, Stage.PICTURES: 1.12, Stage.DECODE: 2.51}


def by_steps(step_s: Mapping[int, float], source: str) -> Times:
    """Derive all calls from the seconds of a guided step of so many pictures."""
    seconds = {Stage.STEP: {2 * pictures: s for pictures, s in step_s.items()}}
    for kind, work in _WORK.items():
        rows_of_one = 2 if kind is Stage.TEXT else 1
        seconds[kind] = {rows_of_one * pictures: s * work / _STEP for pictures, s in step_s.items()}
    host = read(side=512)
    return Times(seconds, before_s=host.before_s, after_s=host.after_s, source=source)


def by_fills(fill_s: Mapping[int, float], *, steps: int, source: str) -> Times:
    """Derive all calls from the seconds of whole fills of so many pictures."""
    share = _STEP / (steps * _STEP + sum(_WORK.values()))
    return by_steps({pictures: s * share for pictures, s in fill_s.items()}, source)


_DIFFUSERS = (
    "diffusers' docs/source/en/optimization/torch2.0.md (May 2023): iterations a second of SD inpainting, fp16, "
    "512x512, PyTorch's nightly build, not compiled, batches of 1, 4 and 16"
)


def gpus() -> dict[str, Times]:
    """Return the published times of Stable Diffusion 1.5 inpainting at 512x512 in fp16, by device."""
    return {
        "H100": by_fills({1: 0.380, 4: 0.666}, steps=10, source="docs/performance.md: fills of 1 and 4 pictures"),
        "A100": by_steps({1: 1 / 23.23, 4: 1 / 13.31, 16: 1 / 3.66}, _DIFFUSERS),
    }
