"""Two reports of the pocket protocol, case by case: which model is better, and is that more than chance."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retouch.errors import BadInput
from retouch.evaluate import bootstrap
from retouch.evaluate.bootstrap import Estimate

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Comparison:
    """First minus second over the same cases, in shares of -1..1; an interval that leaves out 0 is no chance."""

    first: str
    second: str
    differences: Mapping[str, Estimate]


def compare_reports(first: Path, second: Path, *, seed: int = 0) -> Comparison:
    """Compare the first painters of two `report.json` files.

    Raises:
        BadInput: a file is no such report, or the two were not asked for the same cases.
    """
    a, b = _rows(first), _rows(second)
    if [_asked(row) for row in a] != [_asked(row) for row in b]:
        raise BadInput(
            "the two reports are of different cases",
            hint="run both with the same data, --cases, --size and --seed",
        )
    differences = {}
    for name, (applies, is_hit) in _MEASURES.items():
        rows = [k for k, row in enumerate(a) if applies(row)]
        hits = [[float(is_hit(run[k])) for k in rows] for run in (a, b)]
        differences[name] = bootstrap.paired_difference(hits[0], hits[1], seed=seed)
    return Comparison(str(first), str(second), differences)


_MEASURES: dict[str, tuple[Callable[[Row], bool], Callable[[Row], bool]]] = {
    "object_top1": (lambda row: row["concept"] is not None, lambda row: row["rank"] == 1),
    "object_top5": (lambda row: row["concept"] is not None, lambda row: row["rank"] <= 5),
    "colour": (lambda row: row["colour"] is not None, lambda row: row["sees_colour"] == row["colour"]),
}


def _asked(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("prompt", "concept", "colour", "place", "seed"))


def _rows(path: Path) -> list[Row]:
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        rows: list[Row] = report["painters"][0]["per_case"]
        wanted = {"prompt", "concept", "colour", "place", "seed", "rank", "sees_colour"}
        if not rows or not all(wanted <= set(row) for row in rows):
            raise KeyError("per_case")
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise BadInput(
            f"{path} is no report of the pocket protocol", hint="give the report.json of `retouch evaluate pocket`"
        ) from error
    return rows
