"""A batch in a process of its own, with a painter of no cost: to be killed, and to have its disk fail.

    python -m tests.batch.process INPUT OUTPUT [seconds a row] [width]

It prints a line for every group of rows that is kept: how many are, the seconds that took, and its memory in MiB.
"""

import sys
import time
from pathlib import Path

from tests.batch.builders import StandIn, batch_of, stand_in
from tests.memory import memory_bytes

from retouch.batch.entry import Painted
from retouch.batch.job import run_batch
from retouch.batch.rows import Row
from retouch.batch.runner import Progress
from retouch.cli.failures import Session, explain


class Slow(StandIn):
    """Takes a while for every row."""

    pause_s = 0.0

    def paint(self, row: Row) -> Painted:
        time.sleep(self.pause_s)
        return super().paint(row)


def tell(at: Progress) -> None:
    print(at.finished, f"{at.seconds:.3f}", memory_bytes("VmRSS") // 2**20, flush=True)


def main(source: str, output: str, pause_s: str = "0", width: str = "4") -> int:
    batch = batch_of(source, Path(output))
    painter = Slow(batch)
    painter.pause_s = float(pause_s)
    try:
        outcome = run_batch(batch, lambda: stand_in(batch, painter, int(width)), on_progress=tell)
    except BaseException as error:  # noqa: BLE001 - as the command line does
        return explain(error, Session())
    return 0 if outcome.is_all_done else 1


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    assert "torch" not in sys.modules
    sys.exit(code)
