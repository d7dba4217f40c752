"""What `score_online.py` does: Azure's inference server calls it with the body of a request."""

from pathlib import Path
from typing import Any, Self

from retouch.errors import RetouchError
from retouch.package.tables import TablePainter
from retouch.serve.dialects.azure import read_input, words
from retouch.serve.dialects.azure_container import container_words
from retouch.serve.dialects.entries import worst
from retouch.serve.strict_json import JsonLimits, parse_json_object


class Online:
    """Answers `/score`, with the settings of the environment: `RETOUCH_ERROR_PROFILE` says how errors look."""

    def __init__(self, painter: TablePainter) -> None:
        self._painter = painter
        self._is_container = painter.settings.error_profile == "azure"

    @classmethod
    def load(cls, checkpoint: str | Path) -> Self:
        """Load a checkpoint.

        Raises:
            RetouchError: a setting is wrong, or the model cannot be used.
        """
        return cls(TablePainter.load(checkpoint))

    def score(self, body: str) -> tuple[Any, int]:
        """Return the answer to a request's body, and its status."""
        try:
            return self._entries(body), 200
        except RetouchError as error:
            deadline_s = self._painter.settings.deadline_s
            told = container_words(error, deadline_s=deadline_s) if self._is_container else words(error)
            return told.body, told.status

    def _entries(self, body: str) -> list[dict[str, Any]]:
        settings = self._painter.settings
        document = parse_json_object(body.encode(), limits=JsonLimits(depth=settings.json_depth))
        rows, parameters = read_input(document, most_rows=settings.rows_per_request)
        scored = self._painter.paint(rows, parameters)
        error = worst(scored)
        if error is not None and (self._is_container or all(row.error is not None for row in scored)):
            raise error
        return [one for row in scored for one in row.entries]
