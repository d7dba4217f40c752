"""`results.csv`: a line a row, for spreadsheets."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from retouch.batch.projections import Output
from retouch.batch.projections.table import COLUMNS, flat
from retouch.batch.rows import Cell
from retouch.imaging.save import write_atomically

_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def write(output: Output) -> Path:
    """Write it; return its path."""
    path = output.folder / "results.csv"
    write_atomically(path, lines(output))
    return path


def safe(cell: Cell) -> Cell:
    """Return a cell that no spreadsheet takes for a formula; texts come from whoever wrote the input."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULAS) else cell


def lines(output: Output) -> Iterator[bytes]:
    """Yield the header, then a line a row."""
    yield _line(list(COLUMNS))
    for kept in output.rows():
        cells = list(flat(kept).values())
        yield _line([safe(cell) for cell in cells] if output.is_csv_safe else cells)


def _line(cells: list[Cell] | list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode("utf-8", "backslashreplace")
