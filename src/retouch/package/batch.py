"""What `score_batch.py` does: Azure's batch driver calls it with the paths of some files of the input folder."""

import base64
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

from retouch.batch.engage import inpainter_for_many
from retouch.batch.entry import Painted
from retouch.batch.painter import InpaintPainter, Recipe
from retouch.batch.pictures import Roots
from retouch.batch.places import Place
from retouch.batch.projections.azure import BLOCKED
from retouch.batch.readers.source import open_source
from retouch.batch.rows import Columns
from retouch.errors import RetouchError
from retouch.inpainter import Inpainter
from retouch.models.load import load_model
from retouch.package.tables import asks_content_safety, safeguards
from retouch.serve.settings import ServeSettings

log = logging.getLogger(__name__)


class FilesFailed(Exception):
    """Files of a mini batch that could not be read: the driver tries the mini batch again, and counts it."""


class Batch:
    """Answers `run`: a file is a table of rows, as for `retouch batch run`."""

    def __init__(self, inpainter: Inpainter, settings: ServeSettings) -> None:
        self._inpainter = inpainter
        self._settings = settings
        self._asks_content_safety = asks_content_safety(settings)

    @classmethod
    def load(cls, checkpoint: str | Path) -> Self:
        """Load a checkpoint, with the settings of the environment.

        Raises:
            RetouchError: a setting is wrong, or the model cannot be used.
        """
        settings = ServeSettings.of()
        guarded = safeguards(settings)
        return cls(inpainter_for_many(load_model(Path(checkpoint)), limits=settings.limits(), **guarded), settings)

    def run(self, paths: Sequence[str]) -> Any:
        """Paint the rows of some files.

        Returns:
            A frame of pandas with a line for each row: `generated_image` (base64 of a PNG),
            `nsfw_content_detected` and `input_csv_name`; its index is the row's number in its file. A row that
            failed keeps its place with empty cells, and the log says why.
        Raises:
            FilesFailed: a file is no table, or none of its rows gave a picture.
        """
        import pandas as pd

        frames, failures = [], {}
        for path in paths:
            try:
                frames.append(pd.DataFrame(self._lines(path), columns=list(_COLUMNS), dtype=object))
            except RetouchError as error:
                failures[Path(path).name] = f"{error} ({error.hint})" if error.hint else str(error)
        if failures:
            told = "".join(f"{name}:\n{reason}\n" for name, reason in failures.items())
            raise FilesFailed(f"Not all input files were processed successfully. Errors by filename:\n{told}")
        return pd.concat(frames) if frames else pd.DataFrame(columns=list(_COLUMNS))

    def _lines(self, path: str) -> list[dict[str, Any]]:
        source = open_source(path, limits=self._inpainter.limits)
        recipe = Recipe(fields={"safety": self._settings.safety}, columns=Columns(keep_extra=True))
        source.check(recipe.columns)
        painter = InpaintPainter(self._inpainter, recipe, Roots((Place.of(source.folder),)))
        # Guided rows come in pairs: two calls' worth keep the engine's calls full.
        width = 2 * (self._inpainter.settings.rows_per_call or self._inpainter.bundle.row_cap)
        with ThreadPoolExecutor(width, thread_name_prefix="retouch-rows") as hands:
            painted = list(hands.map(painter.paint, source.rows()))
        if painted and all(one.status == "failed" for one in painted):
            raise RetouchError(f"none of {len(painted)} rows gave a picture: {painted[0].record['error']}")
        return [self._line(one, Path(path).name) for one in painted]

    def _line(self, painted: Painted, name: str) -> dict[str, Any]:
        if painted.status == "failed":
            log.warning("%s, row %s: %s", name, painted.record["source_row"], painted.record["error"])
        cell = base64.b64encode(painted.pictures[0]).decode() if painted.pictures else ""
        verdict = painted.record.get("nsfw_content_detected")
        if painted.status == "blocked" and self._asks_content_safety:
            cell, verdict = BLOCKED
        return dict(zip(_COLUMNS, (cell, verdict, name), strict=True))


_COLUMNS = ("generated_image", "nsfw_content_detected", "input_csv_name")
