"""`results.parquet`: a line a row, with types."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from retouch.batch.projections import Output
from retouch.batch.projections.table import COLUMNS, flat
from retouch.imaging.save import replace_with

_ROWS_AT_ONCE = 10_000


def write(output: Output) -> Path:
    """Write it; return its path."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    schema = pa.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()])
    path = output.folder / "results.parquet"
    with replace_with(path) as file, pq.ParquetWriter(file, schema) as writer:
        for lines in _groups(map(flat, output.rows())):
            writer.write_table(pa.Table.from_pylist(lines, schema=schema))
    return path


def _groups(lines: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while group := [_encodable(line) for line in islice(lines, _ROWS_AT_ONCE)]:
        yield group


def _encodable(line: dict[str, Any]) -> dict[str, Any]:
    """Return a line without halves of surrogate pairs, which UTF-8 does not have."""
    return {
        name: cell.encode("utf-8", "backslashreplace").decode() if isinstance(cell, str) else cell
        for name, cell in line.items()
    }
