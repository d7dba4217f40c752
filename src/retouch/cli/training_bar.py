"""How far a training run is, on stderr: a bar on a terminal, a line a report elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import typer

Report = Callable[[str, int, dict[str, float]], None]


def describe(phase: str, steps: int, line: dict[str, float]) -> str:
    """One line: phase, step, loss, rows a second, time to the end of all phases."""
    text = f"{phase} {line['step']:.0f}/{steps}  loss {line.get('loss', float('nan')):.4f}"
    if "rate" in line:
        text += f"  {line['rate']:.1f}/s  {timedelta(seconds=round(line['eta_s']))} to go"
    return text


@contextmanager
def reporting() -> Iterator[Report]:
    """Give the function that shows a report, until the block ends."""
    if not sys.stderr.isatty():
        yield lambda phase, steps, line: typer.echo(describe(phase, steps, line), err=True)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    with Progress(BarColumn(), TextColumn("{task.description}"), console=Console(stderr=True)) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda phase, steps, line: bar.update(
            task, completed=line["step"], total=steps, description=describe(phase, steps, line)
        )
