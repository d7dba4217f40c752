"""The LAION-Aesthetics v2 5+ selection that Stable Diffusion's inpainting model was trained on.

Rows of LAION-2B-en with a predicted aesthetic score above 5, an original size of at least
512 x 512 and an estimated watermark probability below 0.5 (model card of Stable Diffusion v1).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retouch.errors import BadInput, MissingExtra

# Dumps differ in names and case; all are compared in lower case.
COLUMN_NAMES: dict[str, tuple[str, ...]] = {
    "aesthetic": ("aesthetic_score", "aesthetic", "aesthetics_score", "prediction"),
    "width": ("original_width", "width"),
    "height": ("original_height", "height"),
    "watermark": ("pwatermark", "watermark_score"),
    "unsafe": ("punsafe", "unsafe_score"),
}


@dataclass(frozen=True, slots=True)
class Selection:
    """What a row must fulfil; None switches a rule off.

    Attributes:
        above_aesthetic: predicted score, exclusive.
        min_side_px: both original sides, inclusive.
        below_watermark: estimated probability, exclusive.
        below_unsafe: estimated probability, exclusive; off in the original.
    """

    above_aesthetic: float | None = 5.0
    min_side_px: int | None = 512
    below_watermark: float | None = 0.5
    below_unsafe: float | None = None

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns that the active rules read."""
        rules = {
            "aesthetic": self.above_aesthetic,
            "width": self.min_side_px,
            "height": self.min_side_px,
            "watermark": self.below_watermark,
            "unsafe": self.below_unsafe,
        }
        return tuple(name for name, limit in rules.items() if limit is not None)


@dataclass(slots=True)
class Outcome:
    """How many rows were kept, and by which rule others fell; grows while filtering."""

    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)


def find_columns(names: Iterable[str], needed: Iterable[str]) -> dict[str, str]:
    """Map our names of columns to a table's own.

    Raises:
        BadInput: a needed column is missing under all its names.
    """
    present = {name.lower(): name for name in names}
    found: dict[str, str] = {}
    for column in needed:
        match = next((present[name] for name in COLUMN_NAMES[column] if name in present), None)
        if match is None:
            options = ", ".join(COLUMN_NAMES[column])
            raise BadInput(f"the table has no column for {column}", hint=f"it may be called {options}")
        found[column] = match
    return found


def reject_reason(row: Mapping[str, Any], columns: Mapping[str, str], selection: Selection) -> str | None:
    """Return the rule that a row breaks ('aesthetic', 'size', ...), or None for a row to keep.

    A value that is missing or no number breaks its rule: what was not measured is not known good.
    """
    value = {name: _number(row.get(column)) for name, column in columns.items()}
    if selection.above_aesthetic is not None and not value["aesthetic"] > selection.above_aesthetic:
        return "aesthetic"
    if selection.min_side_px is not None and not min(value["width"], value["height"]) >= selection.min_side_px:
        return "size"
    if selection.below_watermark is not None and not value["watermark"] < selection.below_watermark:
        return "watermark"
    if selection.below_unsafe is not None and not value["unsafe"] < selection.below_unsafe:
        return "unsafe"
    return None


def _number(value: object) -> float:
    """Return a float; NaN, which fails every comparison, for what is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return math.nan
    try:
        return float(value)
    except ValueError:
        return math.nan


def filter_parquet(source: Path, target: Path, selection: Selection | None = None) -> Outcome:
    """Copy the rows to keep from one parquet file to another, batch by batch.

    Raises:
        BadInput: the file is no parquet, or lacks a needed column.
        MissingExtra: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra("parquet needs pyarrow", hint="pip install 'retouch[train]'") from error
    chosen, outcome = selection or Selection(), Outcome()
    try:
        table = parquet.ParquetFile(source)
    except pa.ArrowInvalid as error:
        raise BadInput(f"{source.name} is not a parquet file") from error
    columns = find_columns(table.schema_arrow.names, chosen.needed)
    partial = target.with_name(f".{target.name}.partial")
    with table, parquet.ParquetWriter(partial, table.schema_arrow) as writer:
        for batch in table.iter_batches():
            rows = batch.select(sorted(set(columns.values()))).to_pylist()
            reasons = [reject_reason(row, columns, chosen) for row in rows]
            outcome.dropped.update(reason for reason in reasons if reason)
            outcome.kept += reasons.count(None)
            writer.write_batch(batch.filter(pa.array([reason is None for reason in reasons])))
    partial.replace(target)
    return outcome
