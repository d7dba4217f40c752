"""JSONL files: one object a line."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from retouch.batch.places import Place
from retouch.batch.readers.lines import records
from retouch.batch.readers.raw import Raw, row_bytes, without_empty
from retouch.batch.rows import MAX_COLUMNS, Cell
from retouch.errors import BadInput, BadRow
from retouch.imaging.limits import DEFAULT_DECODE_LIMITS, DecodeLimits


@dataclass(frozen=True, slots=True)
class JsonlTable:
    """A file of JSON objects, one a line; empty lines are none."""

    place: Place
    limits: DecodeLimits = DEFAULT_DECODE_LIMITS

    @property
    def name(self) -> str:
        return self.place.name

    @property
    def weight(self) -> float:
        return self.place.size_bytes

    def columns(self) -> None:
        """Every row names its own."""

    def fingerprint(self) -> Mapping[str, Any]:
        return self.place.fingerprint()

    def rows(self) -> Iterator[Raw]:
        """Yield the rows.

        Raises:
            BadInput: nearly all lines are empty.
        """
        return without_empty(self._read(), self.name)

    def _read(self) -> Iterator[Raw | None]:
        size = max(1, self.place.size_bytes)
        with closing(self.place.open()) as file:
            for record in records(file, most_bytes=row_bytes(self.limits), quotes=False):
                share = min(1.0, record.end / size)
                if record.content is None:
                    yield Raw(error=BadRow(f"the row is larger than {row_bytes(self.limits)} bytes"), share=share)
                else:
                    yield _parsed(record.content, share) if record.content.strip() else None


def _parsed(line: bytes, share: float) -> Raw:
    try:
        return Raw(flat_object(line), share=share)
    except BadInput as error:
        return Raw(error=error, share=share)


def flat_object(text: bytes) -> dict[str, Cell]:
    """Read a JSON object of plain values.

    Raises:
        BadRow: it is no JSON, no object, names a key twice, or holds lists or objects.
    """
    try:
        values = json.loads(text.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_no_number)
    except BadRow:
        raise
    except (ValueError, RecursionError) as error:
        raise BadRow("the row is no JSON") from error
    if not isinstance(values, dict):
        raise BadRow("the row is no JSON object")
    for name, value in values.items():
        if isinstance(value, dict | list):
            raise BadRow(f"{name[:60]!r} is a list or an object", hint="values are texts, numbers, true or false")
    return values


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_COLUMNS:
        raise BadRow(f"the row has more than {MAX_COLUMNS} values")
    found = dict(pairs)
    if len(found) < len(pairs):
        raise BadRow("the row names a column twice")
    return found


def _no_number(name: str) -> Any:
    if name == "NaN":
        return None  # as pandas writes what is missing
    raise BadRow(f"{name} is no number")
