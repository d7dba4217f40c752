"""Parquet files, a few rows at a time."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from retouch.batch.places import BUFFER_BYTES, Place
from retouch.batch.readers.raw import Raw, row_bytes
from retouch.batch.rows import MAX_COLUMNS, Cell
from retouch.errors import BadInput, BadRow
from retouch.foreign import foreign_as
from retouch.imaging.limits import DEFAULT_DECODE_LIMITS, DecodeLimits

_ROWS_AT_ONCE = 16
_MOST_INFLATION = 100
_SLACK_BYTES = 64 * 2**20
_FOOTER_BYTES = 100 * 2**20


@dataclass(frozen=True, slots=True)
class ParquetTable:
    """A Parquet file whose columns hold plain values; pictures may also be the structs that datasets write."""

    place: Place
    limits: DecodeLimits = DEFAULT_DECODE_LIMITS

    @property
    def name(self) -> str:
        return self.place.name

    @property
    def weight(self) -> float:
        return self.place.size_bytes

    def columns(self) -> tuple[str, ...]:
        with self._file() as file:
            return tuple(file.schema_arrow.names)

    def fingerprint(self) -> Mapping[str, Any]:
        return self.place.fingerprint()

    def rows(self) -> Iterator[Raw]:
        with self._file() as file:
            total = max(1, file.metadata.num_rows)
            done = 0
            batches = file.iter_batches(batch_size=_ROWS_AT_ONCE, use_threads=False)
            while (batch := self._next(batches, done)) is not None:
                for index in range(batch.num_rows):
                    done += 1
                    yield self._row(batch, index, share=min(1.0, done / total))

    @contextmanager
    def _file(self) -> Iterator[Any]:
        import pyarrow.parquet as pq

        broken = BadInput(f"{self.name} is no Parquet file, or a broken one")
        with closing(self.place.open()) as stream:
            with foreign_as(broken):
                file = pq.ParquetFile(
                    stream,
                    buffer_size=BUFFER_BYTES,
                    pre_buffer=False,
                    thrift_string_size_limit=_FOOTER_BYTES,
                    thrift_container_size_limit=10**6,
                )
            self._check(file.metadata)
            with foreign_as(broken):
                # Repeated values stay one value: a dictionary of large cells is not multiplied by its rows.
                names = _repeating(file)
                if names:
                    stream.seek(0)
                    file = pq.ParquetFile(
                        stream, buffer_size=BUFFER_BYTES, pre_buffer=False, read_dictionary=sorted(names)
                    )
            yield file

    def _check(self, metadata: Any) -> None:
        """Refuse what would inflate to far more than the file holds, by what the file itself says.

        Raises:
            BadInput: it would.
        """
        if metadata.num_columns > MAX_COLUMNS:
            raise BadInput(f"{self.name}: the table has more than {MAX_COLUMNS} columns")
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            for index in range(group.num_columns):
                column = group.column(index)
                packed, plain = column.total_compressed_size, column.total_uncompressed_size
                if plain > _SLACK_BYTES + _MOST_INFLATION * max(0, packed) or packed > self.place.size_bytes:
                    raise BadInput(
                        f"{self.name}: row group {number + 1} inflates to too much",
                        hint="it says that it holds far more than the file",
                    )

    def _next(self, batches: Iterator[Any], done: int) -> Any:
        with foreign_as(BadInput(f"{self.name}: it cannot be read beyond row {done}", hint="the file is damaged")):
            return next(batches, None)

    def _row(self, batch: Any, index: int, *, share: float) -> Raw:
        cells: dict[str, Cell] = {}
        held = 0
        for name, column in zip(batch.schema.names, batch.columns):
            with foreign_as(BadInput(f"{self.name}: {name[:60]!r} cannot be read")):
                value = column[index].as_py()
            if isinstance(value, dict) and set(value) == {"bytes", "path"}:
                value = value["bytes"] or value["path"]  # the picture of a Hugging Face data set
            if not isinstance(value, Cell):
                return Raw(error=BadRow(f"{name[:60]!r} is a {type(value).__name__}, no plain value"), share=share)
            held += len(value) if isinstance(value, str | bytes) else 8
            if held > row_bytes(self.limits):
                return Raw(error=BadRow(f"the row is larger than {row_bytes(self.limits)} bytes"), share=share)
            cells[name] = value
        return Raw(cells, share=share)


def _repeating(file: Any) -> set[str]:
    """Return the columns of text or bytes that some row group keeps as a dictionary."""
    import pyarrow.types as kinds

    plain = {
        one.name
        for one in file.schema_arrow
        if kinds.is_string(one.type) or kinds.is_binary(one.type) or kinds.is_large_string(one.type)
    }
    metadata = file.metadata
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    columns = [group.column(index) for group in groups for index in range(group.num_columns)]
    return {one.path_in_schema for one in columns if one.has_dictionary_page and one.path_in_schema in plain}
