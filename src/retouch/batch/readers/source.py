"""From what a person names to the parts that are read: which kind of input it is."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from retouch.batch.places import Place
from retouch.batch.readers.csv_table import CsvTable
from retouch.batch.readers.jsonl_table import JsonlTable
from retouch.batch.readers.parquet_table import ParquetTable
from retouch.batch.readers.picture_folder import PICTURE_SUFFIXES, PictureFolder
from retouch.batch.readers.raw import Part, Raw
from retouch.batch.readers.shard import Shard
from retouch.batch.rows import Columns, Row
from retouch.data.shards import expand
from retouch.errors import BadInput
from retouch.imaging.limits import DEFAULT_DECODE_LIMITS, DecodeLimits

_KINDS: dict[str, type[CsvTable] | type[JsonlTable] | type[ParquetTable] | type[Shard]] = {
    ".csv": CsvTable,
    ".tsv": CsvTable,
    ".jsonl": JsonlTable,
    ".ndjson": JsonlTable,
    ".parquet": ParquetTable,
    ".pqt": ParquetTable,
    ".tar": Shard,
    ".tgz": Shard,
}
_TABLES = frozenset(suffix for suffix, kind in _KINDS.items() if kind is not Shard)


@dataclass(frozen=True, slots=True)
class Source:
    """An input.

    Attributes:
        parts: what is read, in this order.
        folder: address of the folder that the paths in it are told from.
        left_out: names of files beside the parts that are of no kind we read.
    """

    parts: tuple[Part, ...]
    folder: str
    left_out: tuple[str, ...] = ()

    def check(self, columns: Columns) -> tuple[str, ...] | None:
        """Refuse unknown columns before any row is read; return those that every row has, None if rows differ.

        Raises:
            BadInput: a part is no table, or has a column that nobody knows.
        """
        shared: set[str] | None = None
        order: tuple[str, ...] = ()
        for part in self.parts:
            names = part.columns()
            if names is None:
                return None
            try:
                columns.check(names)
            except BadInput as error:
                error.add_note(part.name)
                raise
            shared = set(names) if shared is None else shared & set(names)
            order = order or names
        return tuple(name for name in order if name in (shared or ()))

    def fingerprint(self) -> dict[str, Any]:
        """Return what tells this input from another, by the names of its parts.

        Parts of one name, from several folders, are told by the last of them, with `others` before it.
        """
        found: dict[str, list[dict[str, Any]]] = {}
        for part in self.parts:
            found.setdefault(part.name, []).append(dict(part.fingerprint()))
        return {name: last | ({"others": others} if others else {}) for name, (*others, last) in found.items()}

    def rows(self) -> Iterator[Row]:
        """Yield all rows, numbered through."""
        total = sum(part.weight for part in self.parts) or 1.0
        number, before = 0, 0.0
        for part in self.parts:
            for index, raw in enumerate(_reading(part)):
                share = (before + raw.share * part.weight) / total
                yield Row(number, part.name, index, raw.cells, raw.error, share)
                number += 1
            before += part.weight


def _reading(part: Part) -> Iterator[Raw]:
    """Yield a part's rows; that its file fails is told as what it is, not as a failure of the output."""
    try:
        yield from part.rows()
    except OSError as error:
        raise BadInput(f"{part.name} cannot be read on: {error.strerror or error}") from error


def open_source(address: str, *, masks: str | None = None, limits: DecodeLimits = DEFAULT_DECODE_LIMITS) -> Source:
    """Find out what an input is: a table, a shard, or a folder of tables, of shards or of pictures.

    Args:
        address: a path, an address of `fsspec`, or a pattern of shards with `{000..999}`.
        masks: a folder of masks for a folder of pictures.
    Raises:
        BadInput: it is none of them.
    """
    if "{" in address and not Place.of(address).is_folder:
        shards = tuple(Shard(Place.of(one), limits) for one in expand(address))
        return Source(shards, shards[0].place.folder)
    place = Place.of(address)
    if not place.is_folder:
        return Source((_part(place, limits),), place.folder)
    return _folder(place, masks, limits)


def _part(place: Place, limits: DecodeLimits) -> Part:
    kind = Shard if place.name.lower().endswith(".tar.gz") else _KINDS.get(place.suffix)
    if kind is None:
        raise BadInput(
            f"{place.name} is no input",
            hint=f"a folder, or one of: {', '.join(sorted(_KINDS))}; see docs/batch.md",
        )
    place.open().close()  # what is not there is told now
    return kind(place, limits)


def _folder(place: Place, masks: str | None, limits: DecodeLimits) -> Source:
    files = place.files()
    tables = [one for one in files if one.suffix in _TABLES]
    shards = [one for one in files if one.suffix == ".tar"]
    pictures = [one for one in files if one.suffix in PICTURE_SUFFIXES]
    if tables and shards:
        raise BadInput(f"{place.address} holds tables and shards", hint="name one kind of them")
    parts: tuple[Part, ...] = tuple(_part(one, limits) for one in tables or shards)
    if parts:
        known = {one.name for one in (*tables, *shards, *pictures)}
        left_out = tuple(one.name for one in files if one.name not in known)
        return Source(parts, place.address, left_out)
    if not pictures:
        raise BadInput(
            f"{place.address} holds no tables, shards or pictures", hint="folders in it are not searched"
        )
    return Source((PictureFolder(place, None if masks is None else Place.of(masks)),), place.address)
