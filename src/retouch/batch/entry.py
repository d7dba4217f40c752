"""What became of a row: the record that results are written from, and its files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["done", "failed", "blocked"]
STATUSES: tuple[Status, ...] = ("done", "failed", "blocked")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A picture on the disk: its name below the output, and what tells it from another."""

    name: str
    sha256: str
    size_bytes: int
    changed_ns: int


@dataclass(frozen=True, slots=True)
class Painted:
    """What a row became, before anything is kept: plain values, to be sent between processes.

    Attributes:
        row: its number.
        status: how it ended.
        record: plain JSON values, as in `results.jsonl`, without its files.
        pictures: encoded pictures, in the order of their seeds.
    """

    row: int
    status: Status
    record: Mapping[str, Any]
    pictures: tuple[bytes, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """What the ledger keeps of a row."""

    row: int
    status: Status
    record: Mapping[str, Any]
    files: tuple[StoredFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """A row as the ledger gives it back, with the names of its files below the output."""

    status: Status
    record: Mapping[str, Any]
    files: tuple[str, ...]
