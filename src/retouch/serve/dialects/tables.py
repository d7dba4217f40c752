"""Tables of rows, in the forms that clients of Azure ML and MLflow send, read into one."""

import csv
import io
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from retouch.errors import BadInput, InvalidField, MalformedBody

Cells = Mapping[str, Any]
"""A row: its cells by column, under the names that the model has for them."""

Row = Cells | BadInput
"""A row that cannot be read is an error in its place: the others are read all the same."""

_ALIASES = {"mask": "mask_image"}
_SHOWN_CHARS = 60


def read_split(table: Mapping[str, Any], *, name: str, most: int) -> list[Row]:
    """Read `{"columns", "data"}` as pandas splits a table, with or without `index`.

    Rows are lists in the order of `columns`, or objects, which name their columns themselves; where there is one
    column, they may be bare cells.

    Args:
        name: of the table, for errors.
        most: rows that are taken.
    Raises:
        InvalidField: it is no such table, or has no rows or too many.
    """
    data = _counted(table.get("data"), name=f"{name}.data", most=most)
    columns = _columns(table.get("columns"), name=name)
    index = table.get("index")
    if index and (not isinstance(index, list) or len(index) != len(data)):
        raise InvalidField(f"{name}.index", "does not name each row", hint="leave it out: rows keep their order")
    if len(columns) == 1 and not any(isinstance(row, list | dict) for row in data):
        data = [[cell] for cell in data]
    return [_row(row, columns, number) for number, row in enumerate(data)]


def read_records(data: object, *, name: str, most: int) -> list[Row]:
    """Read a list of objects, one a row.

    Raises:
        InvalidField: it is no list, or has no rows or too many.
    """
    return [_row(row, (), number) for number, row in enumerate(_counted(data, name=name, most=most))]


def read_columns(table: Mapping[str, Any], *, name: str, most: int) -> list[Row]:
    """Read an object of columns: lists of cells of one length, or single cells for a table of one row.

    Raises:
        InvalidField: the columns differ in length, or there are no rows or too many.
    """
    columns = {key: cells if isinstance(cells, list) else [cells] for key, cells in table.items()}
    if len({len(cells) for cells in columns.values()}) > 1:
        raise InvalidField(name, "has columns of different lengths")
    rows = list(zip(*columns.values(), strict=True))
    _counted(rows, name=name, most=most)
    return [_read(zip(columns, row, strict=True)) for row in rows]


def read_csv(text: str, *, most: int) -> list[Row]:
    """Read comma-separated values whose first line names the columns; cells are texts, empty ones are unset.

    Raises:
        MalformedBody: it is no CSV.
        InvalidField: there are no rows or too many.
    """
    # The process's own limit of a cell is below a picture's size; the body is bounded as a whole.
    csv.field_size_limit(sys.maxsize)
    lines = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        columns = next(lines, [])
        rows = list(islice((row for row in lines if row), most + 1))
    except csv.Error as error:
        raise MalformedBody(f"the body is not CSV: {error}") from error
    _counted(rows, name="csv", most=most)
    return [_row([cell or None for cell in row], columns, number) for number, row in enumerate(rows)]


def shown(name: str) -> str:
    """Return a client's name of something for a message: cut where it is long, and without control characters."""
    text = name if name.isidentifier() and name.isascii() else ascii(name)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."


def _counted(data: object, *, name: str, most: int) -> list[Any]:
    if not isinstance(data, list):
        raise InvalidField(name, "must be a list of rows")
    if not data:
        raise InvalidField(name, "has no rows")
    if len(data) > most:
        hint = f"send the others in another request, at most {most} at a time"
        raise InvalidField(name, f"has more rows than {most}", hint=hint)
    return data


def _columns(columns: object, *, name: str) -> Sequence[str]:
    if columns is None:
        return ()
    if not isinstance(columns, list) or not all(isinstance(column, str) for column in columns):
        raise InvalidField(f"{name}.columns", "must be a list of names")
    if len(set(columns)) != len(columns):
        raise InvalidField(f"{name}.columns", "names a column twice")
    return columns


def _row(row: object, columns: Sequence[str], number: int) -> Row:
    if isinstance(row, dict):
        return _read(row.items())
    if not isinstance(row, list):
        return InvalidField(f"data[{number}]", "is neither an object nor a list")
    if len(row) != len(columns):
        return InvalidField(f"data[{number}]", f"has {len(row)} cells, and there are {len(columns)} columns")
    return _read(zip(columns, row, strict=True))


def _read(pairs: Iterable[tuple[str, Any]]) -> Row:
    """Return cells by the model's own names; unset ones are left out."""
    cells: dict[str, Any] = {}
    for column, cell in pairs:
        name = _ALIASES.get(column, column)
        if cell is None:
            continue
        if name in cells:
            return InvalidField(name, "is there twice", hint="`mask` is another name of `mask_image`")
        cells[name] = cell
    return cells
