"""A row of an input: where it stands, and what its cells ask of a request."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from types import NoneType
from typing import Any, get_args

from retouch.equivalents import equivalent
from retouch.errors import BadInput, BadRow
from retouch.request import MAX_SEED, InpaintRequest

PICTURES = ("image", "mask_image")
ID = "id"
MAX_COLUMNS = 1000
MAX_ID_CHARS = 500
MAX_EXTRA_CHARS = 64 * 2**10
_ALIASES = {"mask": "mask_image"}
_INDEX_COLUMNS = frozenset({"", "Unnamed: 0", "__index_level_0__"})
"""What pandas calls an index that was written with the rest."""
_YES, _NO = frozenset({"true", "yes", "1", "1.0"}), frozenset({"false", "no", "0", "0.0"})


@dataclass(frozen=True, slots=True)
class Fetched:
    """The encoded bytes of a picture, and its name: its path or address, or a hash where it is inline."""

    data: bytes = field(repr=False)
    name: str


PictureCell = str | bytes | Fetched | BadInput
"""What a picture's cell says, or what came of it where that was read already: its bytes, or why there are none."""
Value = str | bytes | int | float | bool | None
Cell = Value | PictureCell


@dataclass(frozen=True, slots=True)
class Row:
    """One row of an input.

    Attributes:
        number: its place in the whole input, from 0; what the output knows it by.
        source: name of the file that holds it.
        index: its place in that file, from 0.
        cells: what the file says, by column.
        error: why the file's reader could not read it, or None.
        share: how much of the input has been read with it, 0..1.
    """

    number: int
    source: str
    index: int
    cells: Mapping[str, Cell] = field(default_factory=dict, repr=False)
    error: BadInput | None = None
    share: float = 0.0

    @property
    def size_bytes(self) -> int:
        """Memory of its cells, nearly."""
        return sum(_size_bytes(cell) for cell in self.cells.values())

    @property
    def where(self) -> str:
        """Where a person finds it, counting from 1."""
        return f"{self.source}, row {self.index + 1}"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a row asks for.

    Attributes:
        id: the caller's own name for it, or None.
        fields: fields of a request with values of their types; without pictures.
        pictures: cells of `image` and `mask_image`.
        extra: columns that are not the request's.
    """

    id: str | None
    fields: Mapping[str, Any]
    pictures: Mapping[str, PictureCell] = field(repr=False)
    extra: Mapping[str, Cell] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns an input may have: the fields of a request, and `id`.

    Attributes:
        keep_extra: take others along into the results; else they are an error.
    """

    keep_extra: bool = False

    def check(self, names: Iterable[str]) -> None:
        """Refuse the columns of a table.

        Raises:
            BadInput: one is unknown, or there twice, or they are too many; the message names it.
        """
        seen = set[str]()
        for count, name in enumerate(names, 1):
            if count > MAX_COLUMNS:
                raise BadInput(f"the table has more than {MAX_COLUMNS} columns")
            if name in _INDEX_COLUMNS:
                continue
            known = self._known(name)
            if known in seen:
                raise BadInput(
                    f"the column {_shown(name)} is there twice", hint="`mask` is short for `mask_image`"
                )
            seen.add(known)

    def read(self, row: Row) -> Asked:
        """Give a row's cells the types of a request's fields.

        Raises:
            BadInput: the row could not be read, a column is unknown, or a value is of another type.
        """
        if row.error is not None:
            raise row.error
        values: dict[str, Cell] = {}
        for name, cell in row.cells.items():
            if name in _INDEX_COLUMNS:
                continue
            known = self._known(name)
            if known in values:
                raise BadRow(f"{_shown(name)} is there twice", hint="`mask` is short for `mask_image`")
            values[known] = cell
        kinds = field_kinds()
        return Asked(
            id=_id(values.get(ID)),
            fields={
                name: _typed(name, cell, kinds[name])
                for name, cell in values.items()
                if name in kinds and not _is_unset(name, cell)
            },
            pictures={
                name: _picture(name, values[name]) for name in PICTURES if not _is_unset(name, values.get(name))
            },
            extra={
                name: _extra(name, cell)
                for name, cell in values.items()
                if name not in kinds and name not in (*PICTURES, ID)
            },
        )

    def _known(self, name: str) -> str:
        """Return what a column is called here."""
        known = _ALIASES.get(name, name)
        if known in field_kinds() or known in (*PICTURES, ID) or self.keep_extra:
            return known
        names = (*field_kinds(), *PICTURES, ID)
        hints = [equivalent(name, names), "`--extra-columns keep` takes it along"]
        raise BadInput(f"nobody knows the column {_shown(name)}", hint="; ".join(filter(None, hints)))


def picture_of(column: str) -> str | None:
    """Return which picture of a request a column holds, or None."""
    known = _ALIASES.get(column, column)
    return known if known in PICTURES else None


@cache
def field_kinds() -> Mapping[str, type]:
    """Return the type of the cells for each field of a request but its pictures: bool, int, float or str."""
    return {one.name: _kind(one.type) for one in fields(InpaintRequest) if one.name not in PICTURES}


def seed_of(run_seed: int, asked: Asked, digests: Mapping[str, str]) -> int:
    """Return the seed of a row that names none: from the run's seed and the row alone, wherever it stands.

    It is the first 32 bits of SHA-256 over `[run seed, {"id": id}]` as JSON; a row without an id has, in the place
    of the id, what it asks for: its typed fields, and its pictures by address or by hash. So equal rows without
    ids have equal seeds.

    Args:
        digests: of each picture, its path or address, or `sha256:` and the hash of its bytes where it is inline.
    """
    identity = {"id": asked.id} if asked.id is not None else {**asked.fields, **digests}
    text = json.dumps([run_seed, identity], sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") & MAX_SEED


def _kind(annotation: Any) -> type:
    """Return the type of a cell for a field's annotation; a choice of words is text."""
    options = [one for one in get_args(annotation) or (annotation,) if one is not NoneType]
    for kind in (bool, int, float):
        if kind in options:
            return kind
    return str


def _is_unset(name: str, cell: Cell) -> bool:
    """Tell whether a cell leaves a field at its default; an empty text is a prompt like any other."""
    if isinstance(cell, float) and math.isnan(cell):
        return True
    return cell is None or (cell in ("", b"") and name not in ("prompt", "negative_prompt"))


def _typed(name: str, cell: Cell, kind: type) -> Any:
    assert not isinstance(cell, Fetched | BadInput)
    if isinstance(cell, str) and "\0" in cell:
        raise BadRow(f"{name} holds a NUL character")
    try:
        if kind is bool:
            return _bool(cell)
        if kind is int:
            return _int(cell)
        if kind is float:
            if isinstance(cell, bool | bytes):
                raise ValueError(cell)
            return float(cell or 0)
    except (ValueError, OverflowError) as error:
        words = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
        raise BadRow(f"{name} must be {words}, not {_shown(cell)}") from error
    if not isinstance(cell, str):
        raise BadRow(f"{name} must be text, not {_shown(cell)}")
    return cell


def _bool(cell: Value) -> bool:
    text = str(cell).strip().lower()
    if text not in _YES | _NO:
        raise ValueError(cell)
    return text in _YES


def _int(cell: Value) -> int:
    """Read a whole number; `7.0` is one, for pandas writes columns with gaps so."""
    if isinstance(cell, bool | bytes) or (isinstance(cell, str) and len(cell) > 40):
        raise ValueError(cell)
    if isinstance(cell, str) and cell.strip().lstrip("+-").isdigit():
        return int(cell)
    number = float(cell or 0) if not isinstance(cell, int) else cell
    if number != int(number):
        raise ValueError(cell)
    return int(number)


def _picture(name: str, cell: Cell) -> PictureCell:
    if not isinstance(cell, PictureCell):
        raise BadRow(f"{name} must be a picture, not {_shown(cell)}", hint="base64, a path, an address, or bytes")
    return cell


def _id(cell: Cell) -> str | None:
    if cell is None or cell == "" or (isinstance(cell, float) and math.isnan(cell)):
        return None
    text = cell if isinstance(cell, str) else _shown(cell)
    if isinstance(cell, bytes) or len(text) > MAX_ID_CHARS:
        raise BadRow(f"id must be text of at most {MAX_ID_CHARS} characters")
    return text


def _extra(name: str, cell: Cell) -> Cell:
    if isinstance(cell, bytes) or (isinstance(cell, str) and len(cell) > MAX_EXTRA_CHARS):
        raise BadRow(
            f"{_shown(name)} is too large to be taken along", hint=f"at most {MAX_EXTRA_CHARS} characters"
        )
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell


def _size_bytes(cell: Cell) -> int:
    data = cell.data if isinstance(cell, Fetched) else cell
    return len(data) if isinstance(data, str | bytes) else 8


def _shown(value: object) -> str:
    """Return a value for a message, cut where it is long."""
    text = ascii(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
