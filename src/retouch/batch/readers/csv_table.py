"""CSV files as spreadsheets and pandas write them: cells may hold ends of lines, and a bad row is one bad row."""

import csv
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import IO, Any

from retouch.batch.places import Place
from retouch.batch.readers.lines import Record, records
from retouch.batch.readers.raw import Raw, row_bytes, without_empty
from retouch.batch.rows import MAX_COLUMNS
from retouch.errors import BadInput, BadRow
from retouch.imaging.limits import DEFAULT_DECODE_LIMITS, DecodeLimits

_HEADER_BYTES = 2**20
_PLAIN_COMMAS = 10**5
"""Separators that a row may hold inside its texts, beside those between its cells."""


@dataclass(frozen=True, slots=True)
class CsvTable:
    """A CSV file with a header; `.tsv` is separated by tabs."""

    place: Place
    limits: DecodeLimits = DEFAULT_DECODE_LIMITS

    @property
    def name(self) -> str:
        return self.place.name

    @property
    def weight(self) -> float:
        return self.place.size_bytes

    @property
    def _separator(self) -> str:
        return "\t" if self.place.suffix == ".tsv" else ","

    def fingerprint(self) -> Mapping[str, Any]:
        return self.place.fingerprint()

    def columns(self) -> tuple[str, ...]:
        """Return the names in the first line.

        Raises:
            BadInput: there is none, or it is not UTF-8, or too long.
        """
        with closing(self.place.open()) as file:
            return self._header(file)

    def rows(self) -> Iterator[Raw]:
        """Yield the rows below the header; empty lines are none.

        Raises:
            BadInput: nearly all lines are empty.
        """
        return without_empty(self._read(), self.name)

    def _read(self) -> Iterator[Raw | None]:
        # The process's own limit of a cell: ours is that of a record, which was met before.
        csv.field_size_limit(sys.maxsize)
        size = max(1, self.place.size_bytes)
        with closing(self.place.open()) as file:
            names = self._header(file)
            start = file.tell()
            for record in records(file, most_bytes=row_bytes(self.limits), quotes=True):
                share = min(1.0, (start + record.end) / size)
                for cells in self._cells(record, names):
                    if isinstance(cells, BadInput):
                        yield Raw(error=cells, share=share)
                    else:
                        yield Raw(dict(zip(names, cells, strict=True)), share=share) if cells else None

    def _header(self, file: IO[bytes]) -> tuple[str, ...]:
        line = file.readline(_HEADER_BYTES)
        if len(line) == _HEADER_BYTES:
            raise BadInput(f"{self.name}: the first line is no header: it is longer than {_HEADER_BYTES} bytes")
        if line.count(self._separator.encode()) >= MAX_COLUMNS:
            raise BadInput(f"{self.name}: the table has more than {MAX_COLUMNS} columns")
        try:
            names = next(csv.reader([line.decode("utf-8-sig")], delimiter=self._separator, strict=True), [])
        except (UnicodeDecodeError, csv.Error) as error:
            raise BadInput(
                f"{self.name}: the header cannot be read", hint="save the table as CSV, UTF-8"
            ) from error
        if not any(names):
            raise BadInput(f"{self.name} has no header", hint="the first line must name the columns")
        if len(names) == 1 and ";" in names[0]:
            raise BadInput(f"{self.name} is separated by semicolons", hint="save it with commas")
        return tuple(name.strip() for name in names)

    def _cells(self, record: Record, names: Sequence[str]) -> Iterator[list[str] | BadInput]:
        """Yield the cells of a record: one row, or several where a stray quote held them together; of a line
        that is empty, none."""
        if record.content is None:
            yield BadRow(
                f"the row is larger than {row_bytes(self.limits)} bytes",
                hint="is a quote open that nobody closes?",
            )
            return
        if not record.content.strip(b"\r\n"):
            yield []
            return
        if record.content.count(self._separator.encode()) > len(names) + _PLAIN_COMMAS:
            yield _too_many(names)
            return
        try:
            text = record.content.decode("utf-8")
        except UnicodeDecodeError:
            yield BadRow("the row is not UTF-8", hint="save the table as CSV, UTF-8")
            return
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=self._separator, strict=True)
        try:
            for cells in reader:
                yield cells if len(cells) in (0, len(names)) else _fit(cells, names)
        except csv.Error as error:
            yield BadRow(f"the row is no CSV: {error}")


def _fit(cells: list[str], names: Sequence[str]) -> list[str] | BadInput:
    """Fill up a row that is short, as spreadsheets leave empty cells at the end out; refuse a longer one."""
    if len(cells) > len(names):
        return _too_many(names)
    return [*cells, *[""] * (len(names) - len(cells))]


def _too_many(names: Sequence[str]) -> BadRow:
    return BadRow(
        f"the row has more cells than the {len(names)} columns", hint="put quotes around texts with commas"
    )
