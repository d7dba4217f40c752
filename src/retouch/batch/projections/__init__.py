"""Results in the forms that others read: made of the ledger, whole, at the end and whenever asked."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from retouch.batch.entry import Kept

FORMATS = ("jsonl", "azure", "azure-files", "csv", "parquet", "webdataset", "sheet")


@dataclass(frozen=True, slots=True)
class Output:
    """What a projection is made of.

    Attributes:
        folder: of the output.
        rows: gives every row anew, in the order of the input.
        is_csv_safe: no cell of a CSV file may be taken for a formula by a spreadsheet.
    """

    folder: Path
    rows: Callable[[], Iterator[Kept]]
    is_csv_safe: bool = False


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
