"""Results in the forms that others read: made of the ledger, whole, at the end and whenever asked."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from retouch.batch.entry import Kept
from retouch.errors import BadInput

PREDICTIONS = "predictions.csv"
_PREDICTIONS = re.compile(r"[A-Za-z0-9][A-Za-z0-9_. -]{0,99}")
_OURS = re.compile(r"(results|sheet|ledger)\.|(pictures|shards)$", re.IGNORECASE)
FORMATS = ("jsonl", "azure", "azure-files", "csv", "parquet", "webdataset", "sheet")


@dataclass(frozen=True, slots=True)
class Output:
    """What a projection is made of.

    Attributes:
        folder: of the output.
        rows: gives every row anew, in the order of the input.
        is_csv_safe: no cell of a CSV file may be taken for a formula by a spreadsheet.
        predictions: name of the file in Azure's form.
        asks_content_safety: Azure AI Content Safety was asked of every row.
    """

    folder: Path
    rows: Callable[[], Iterator[Kept]]
    is_csv_safe: bool = False
    predictions: str = PREDICTIONS
    asks_content_safety: bool = False


def predictions_name(name: str | None) -> str:
    """Return the name of the file in Azure's form; None is Azure's own.

    Raises:
        BadInput: it leads elsewhere, or another file of an output has it.
    """
    if name is None:
        return PREDICTIONS
    if not _PREDICTIONS.fullmatch(name) or _OURS.match(name):
        raise BadInput(f"output_file_name is {name[:100]!r}", hint="the name of a file, such as predictions.csv")
    return name


def project(format: str, output: Output) -> Path:
    """Write the results in one of `FORMATS`; return the file, or the folder of files.

    Raises:
        BadInput: a picture is not there any more.
        OSError: it cannot be written.
    """
    written: Path = _module(format).write(output)
    return written


def lines(format: str, output: Output) -> Iterator[bytes]:
    """Yield the results as `jsonl`, `azure`, `azure-files` or `csv`, and write nothing.

    Raises:
        BadInput: a picture is not there any more.
    """
    yielded: Iterator[bytes] = _module(format).lines(output)
    return yielded


def _module(format: str) -> Any:
    return import_module(f"{__name__}.{format.replace('-', '_')}")
