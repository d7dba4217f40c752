"""`predictions.csv` in Azure's form with the names of the pictures' files in the place of the pictures."""

from pathlib import Path

from retouch.batch.projections import Output
from retouch.batch.projections.azure import write_predictions


def write(output: Output) -> Path:
    """Write it; return its path."""
    return write_predictions(output, lambda name: name)
