"""`predictions.csv` as Azure ML's batch endpoint of this model writes it.

No header; row number within its file, picture, verdict, name of the file. The picture is base64 of a PNG. A row
without a picture keeps its place, with both cells empty; so does a verdict that was not made. A row that was
refused says so in the picture's place, if Azure AI Content Safety was asked.
"""

import base64
import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path

from retouch.batch.projections import Output
from retouch.batch.projections.pictures import read_picture
from retouch.imaging.save import write_atomically

BLOCKED = ("Blocked By Azure AI Content Safety", False)
"""Picture and verdict of a row that was refused; the verdict is that of the checker, which saw nothing."""


def write(output: Output) -> Path:
    """Write it with the pictures in it; return its path."""
    return write_predictions(output, lines(output))


def lines(output: Output) -> Iterator[bytes]:
    """Yield its lines, with the pictures in them."""

    def shown(name: str) -> str:
        return base64.b64encode(read_picture(output.folder, name)).decode("ascii")

    return predictions(output, shown)


def write_predictions(output: Output, found: Iterator[bytes]) -> Path:
    """Write its lines; return its path."""
    path = output.folder / output.predictions
    write_atomically(path, found)
    return path


def predictions(output: Output, shown: Callable[[str], str]) -> Iterator[bytes]:
    """Yield its lines, with what `shown` makes of a picture's name."""
    for kept in output.rows():
        picture, verdict = shown(kept.files[0]) if kept.files else "", kept.record.get("nsfw_content_detected")
        if kept.status == "blocked" and output.asks_content_safety:
            picture, verdict = BLOCKED
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(
            [kept.record["source_row"], picture, "" if verdict is None else verdict, kept.record["source"]]
        )
        yield text.getvalue().encode()
