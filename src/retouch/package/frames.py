"""The model as MLflow calls it: a data frame of rows in, a data frame of pictures out."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from retouch.errors import RetouchError
from retouch.package.tables import TablePainter
from retouch.serve.dialects.entries import worst
from retouch.serve.dialects.tables import read_records
from retouch.serve.pictures import picture_text


class FramePainter:
    """Answers `predict` of an MLflow model."""

    def __init__(self, painter: TablePainter) -> None:
        self._painter = painter

    @classmethod
    def load(cls, checkpoint: str | Path) -> Self:
        """Load a checkpoint, with the settings of the environment.

        Raises:
            RetouchError: a setting is wrong, or the model cannot be used.
        """
        return cls(TablePainter.load(checkpoint))

    def predict(self, frame: Any, params: Mapping[str, Any] | None) -> Any:
        """Paint the rows of a frame with `prompt`, `image`, `mask_image` (bytes or base64), maybe more.

        Args:
            frame: of pandas.
            params: for all rows; those that are None count as not given.
        Returns:
            A frame of `prompt`, `generated_image` (base64 of a PNG) and `nsfw_content_detected`. Where some rows
            failed, a column `error` says why, as JSON, and is None for the others.
        Raises:
            RetouchError: all rows failed, or a parameter is unknown.
        """
        import pandas as pd

        records = [{name: _cell(cell) for name, cell in row.items()} for row in frame.to_dict("records")]
        given = {name: value for name, value in (params or {}).items() if value is not None}
        rows = read_records(records, name="table", most=max(1, len(records)))
        scored = self._painter.paint(rows, given)
        error = worst(scored)
        if error is not None and all(row.error is not None for row in scored):
            raise _told(error)
        entries = [dict(one) for row in scored for one in row.entries]
        if error is not None:
            for one in entries:
                one["error"] = json.dumps(one["error"]) if "error" in one else None
        # As objects: a verdict that was not made is None, and no number.
        return pd.DataFrame(entries, dtype=object)


def _cell(cell: Any) -> Any:
    """Return a cell as a client would have sent it; pandas has several words for an empty one."""
    if isinstance(cell, bytes | bytearray):
        return picture_text(bytes(cell))
    if (
        cell is None
        or type(cell).__name__ in ("NAType", "NaTType")
        or (isinstance(cell, float) and math.isnan(cell))
    ):
        return None
    return cell.item() if hasattr(cell, "item") else cell


def _told(error: RetouchError) -> RetouchError:
    """Put an error's hint into its message: MLflow's server answers with the message alone."""
    if error.hint:
        error.args = (f"{error} ({error.hint})",)
    return error
