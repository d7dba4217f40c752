"""How far a batch is, on stderr: a bar on a terminal, a line a minute elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import typer

from retouch.batch.runner import Progress

PLAIN_EVERY_S = 60.0

Watch = Callable[[Progress], None]


def describe(at: Progress) -> str:
    """One line: rows by how they ended, rate, time to the end."""
    failed = sum(at.counts[name] for name in ("failed", "blocked"))
    text = f"{at.counts['done']} done" + (f", {failed} failed" if failed else "")
    text += f", {at.rate:.2f} rows/s"
    return text if at.seconds_left is None else f"{text}, {timedelta(seconds=round(at.seconds_left))} to go"


@contextmanager
def watching() -> Iterator[Watch]:
    """Give a function that shows progress until the block ends."""
    if not sys.stderr.isatty():
        yield plain(clock=time.monotonic)
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    with Bar(BarColumn(), TextColumn("{task.description}"), console=Console(stderr=True)) as bar:
        task = bar.add_task("loading the model", total=1.0)
        yield lambda at: bar.update(task, completed=at.share, description=describe(at))


def plain(*, clock: Callable[[], float]) -> Watch:
    """Return a function that writes a line, at most once in `PLAIN_EVERY_S` seconds."""
    last = clock()

    def show(at: Progress) -> None:
        nonlocal last
        if clock() - last >= PLAIN_EVERY_S:
            last = clock()
            typer.echo(describe(at), err=True)

    return show
