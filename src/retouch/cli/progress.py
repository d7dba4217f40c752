"""How far the work is, on stderr: a bar on a terminal, now and then a line elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import typer

PLAIN_EVERY_S = 10.0


class Step(Protocol):
    """What the engine tells about a request: `step` of `total`."""

    @property
    def step(self) -> int: ...
    @property
    def total(self) -> int: ...


Watch = Callable[[Step], None]


@contextmanager
def watching(label: str) -> Iterator[Watch]:
    """Give a function that shows progress until the block ends."""
    if sys.stderr.isatty():
        with _bar(label) as show:
            yield show
    else:
        yield plain(label, clock=time.monotonic)


@contextmanager
def _bar(label: str) -> Iterator[Watch]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda at: bar.update(task, completed=at.step, total=at.total)


def plain(label: str, *, clock: Callable[[], float]) -> Watch:
    """Return a function that writes `label: step 3 of 30`, at most once in `PLAIN_EVERY_S` seconds."""
    last = clock()

    def show(at: Step) -> None:
        nonlocal last
        if clock() - last >= PLAIN_EVERY_S:
            last = clock()
            typer.echo(f"{label}: step {at.step} of {at.total}", err=True)

    return show
