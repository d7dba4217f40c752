"""The options that only `retouch batch` has."""

import os
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand


class Format(StrEnum):
    """Forms of the results beside `results.jsonl`."""

    AZURE = "azure"
    AZURE_FILES = "azure-files"
    CSV = "csv"
    PARQUET = "parquet"
    WEBDATASET = "webdataset"
    SHEET = "sheet"


class PictureFormat(StrEnum):
    """Formats of the pictures."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    AVIF = "avif"
    TIFF = "tiff"


class Extra(StrEnum):
    """What to do with columns that are not a request's."""

    ERROR = "error"
    KEEP = "keep"


Input = Annotated[
    str,
    typer.Argument(
        metavar="INPUT",
        help="A CSV, JSONL or Parquet file, a .tar shard, or a folder of them or of pictures.",
    ),
]
Folder = Annotated[Path, typer.Option("--output", "-o", help="Folder for pictures, results and the ledger.")]
Masks = Annotated[
    str | None,
    typer.Option(
        "--mask-image", "--mask", "-m", help="A mask for all rows; a folder: masks by the pictures' stems."
    ),
]
Prompt = Annotated[str | None, typer.Option("--prompt", "-p", help="For rows that name none.")]
Seed = Annotated[
    int, typer.Option("--seed", "-s", min=0, help="Of the run; rows without a seed get theirs from it.")
]
Formats = Annotated[
    list[Format] | None, typer.Option("--format", help="Also write the results so; may be repeated.")
]
Pictures = Annotated[PictureFormat, typer.Option("--picture-format", help="Of the pictures.")]
Quality = Annotated[int | None, typer.Option("--quality", min=1, max=100, help="Of JPEG, WebP and AVIF.")]
Roots = Annotated[
    list[str] | None,
    typer.Option("--root", help="Where pictures may be: a folder or an address.  [default: the input's folder]"),
]
AnyPath = Annotated[bool, typer.Option("--allow-any-path", help="Rows may name any file or address.")]
ExtraColumns = Annotated[Extra, typer.Option("--extra-columns", help="What to do with unknown columns.")]
CsvSafe = Annotated[bool, typer.Option("--csv-safe", help="Let no cell of results.csv be taken for a formula.")]
MaxFailures = Annotated[
    str | None,
    typer.Option("--max-failures", metavar="N|N%", help="Stop when more rows, or a larger share, failed."),
]
Attempts = Annotated[
    int | None,
    typer.Option("--attempts", min=1, help="How often a row is tried whose failure may pass.  [default: 3]"),
]
Deployment = Annotated[
    Path | None,
    typer.Option("--deployment", help="Azure ML's YAML of a batch deployment; options come before it."),
]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Compute failed rows of an earlier run again.")]
Verify = Annotated[bool, typer.Option("--verify", help="Compare all pictures of an earlier run by their hashes.")]
LedgerPath = Annotated[
    Path | None, typer.Option("--ledger", help="The ledger's file, where the output is on a network.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check every row, estimate the time, and write nothing.")]
Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="[ADDRESS]",
        help="Paint on a Ray cluster: HOST:PORT, auto, or local.  [default: RAY_ADDRESS, else local]",
    ),
]
RayActors = Annotated[
    int | None,
    typer.Option("--ray-actors", min=1, help="Models on the cluster.  [default: as many as it has room for]"),
]
Ran = Annotated[Path, typer.Argument(metavar="DIR", help="The output of a batch.")]


class RunCommand(TyperCommand):
    """A command whose `--ray` may stand without a value."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, with_ray_address(args))


def with_ray_address(args: Sequence[str]) -> list[str]:
    """Put an address behind a `--ray` that has none: at the end, or before another option."""
    told: list[str] = []
    for arg, following in zip(args, (*args[1:], "--"), strict=True):
        told.append(arg)
        if arg == "--ray" and following.startswith("-"):
            told.append(os.environ.get("RAY_ADDRESS") or "local")
    return told
