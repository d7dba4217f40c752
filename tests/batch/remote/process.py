"""A batch on a cluster in a process of its own, with painters of no cost: to be killed.

    python -m tests.batch.remote.process INPUT OUTPUT ADDRESS LOG [seconds a row]

Painters write the number of each row that they paint into LOG. It prints how many rows are kept after each group.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.batch.builders import StandIn, batch_of, stand_in

from retouch.batch.entry import Painted
from retouch.batch.job import Batch, Engaged, Outcome, run_batch
from retouch.batch.pictures import carry
from retouch.batch.remote.actor import Needs
from retouch.batch.remote.cluster import joined
from retouch.batch.remote.engage import engaged_actors
from retouch.batch.rows import Row
from retouch.batch.runner import Progress
from retouch.request import DEFAULT_LIMITS

POISON = "a poisoned row"


class Logging(StandIn):
    """Tells which rows it paints, takes a while for each, and ends its process where a prompt says so."""

    log = Path()
    pause_s = 0.0

    def paint(self, row: Row) -> Painted:
        with self.log.open("a") as file:
            file.write(f"{row.number}\n")
        if row.cells.get("prompt") == POISON:
            os._exit(1)
        time.sleep(self.pause_s)
        return super().paint(row)


@contextmanager
def logging_stand_in(batch: Batch, log: Path, pause_s: float) -> Iterator[Engaged]:
    painter = Logging(batch)
    painter.log, painter.pause_s = log, pause_s
    with stand_in(batch, painter) as engaged:
        yield engaged


@contextmanager
def on_cluster(batch: Batch, log: Path, pause_s: float = 0.0, count: int = 2) -> Iterator[Engaged]:
    """Engage the painters on the cluster that was joined."""
    with engaged_actors(
        partial(logging_stand_in, batch, log, pause_s),
        Needs(),
        count,
        prepare=partial(carry, roots=batch.roots, limits=DEFAULT_LIMITS),
        columns=batch.recipe.columns,
    ) as engaged:
        yield engaged


def run(source: Path, output: Path, address: str, log: Path, pause_s: float = 0.0, **more: object) -> Outcome:
    batch = batch_of(source, output)
    with joined(address):
        return run_batch(batch, lambda: on_cluster(batch, log, pause_s), **more)  # type: ignore[arg-type]


def tell(at: Progress) -> None:
    print(at.finished, file=sys.__stdout__, flush=True)


if __name__ == "__main__":
    source, output, address, log, *pause = sys.argv[1:]
    outcome = run(Path(source), Path(output), address, Path(log), *map(float, pause), on_progress=tell)
    sys.exit(0 if outcome.made == sum(outcome.counts.values()) else 1)
