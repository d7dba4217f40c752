"""`predictions.csv` in Azure's form with the names of the pictures' files in the place of the pictures."""

from collections.abc import Iterator
from pathlib import Path

from retouch.batch.projections import Output
from retouch.batch.projections.azure import predictions, write_predictions


def write(output: Output) -> Path:
    """Write it; return its path."""
    return write_predictions(output, lines(output))


def lines(output: Output) -> Iterator[bytes]:
    """Yield its lines."""
    return predictions(output, lambda name: name)
