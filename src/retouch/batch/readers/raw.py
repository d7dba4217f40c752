"""What every reader of an input gives: rows of cells, or why one could not be read."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from retouch.batch.rows import Cell
from retouch.errors import BadInput
from retouch.imaging.limits import DecodeLimits

_TEXT_BYTES = 2**20
_MOST_EMPTY_LINES = 10**5
"""Beside as many as there are rows, so that a table of any length may leave every other line empty."""


@dataclass(frozen=True, slots=True)
class Raw:
    """One row of one part of an input.

    Attributes:
        cells: what it says, by column.
        error: why it could not be read.
        share: how much of the part has been read with it, 0..1.
    """

    cells: Mapping[str, Cell] = field(default_factory=dict)
    error: BadInput | None = None
    share: float = 1.0


class Part(Protocol):
    """A part of an input: one table, one shard, one folder of pictures."""

    @property
    def name(self) -> str: ...
    @property
    def weight(self) -> float:
        """How large it is beside the others, in bytes."""
        ...

    def columns(self) -> tuple[str, ...] | None:
        """Return the columns of all its rows, None where each row has its own; BadInput if it is no table."""
        ...

    def fingerprint(self) -> Mapping[str, Any]:
        """Return what tells its content from another's."""
        ...

    def rows(self) -> Iterator[Raw]: ...


def row_bytes(limits: DecodeLimits) -> int:
    """Return how large a row may be as text: two pictures in base64 with ends of lines, and words."""
    return 2 * (limits.image_bytes * 3 // 2) + _TEXT_BYTES


def without_empty(read: Iterable[Raw | None], name: str) -> Iterator[Raw]:
    """Yield the rows of a table; None is an empty line, which is none.

    Raises:
        BadInput: hardly anything but empty lines: whoever counts rows would wait for long, and could not give up.
    """
    spare = _MOST_EMPTY_LINES
    for raw in read:
        if raw is not None:
            spare += 1
            yield raw
        elif spare:
            spare -= 1
        else:
            raise BadInput(f"{name} has too many empty lines", hint="remove them")
