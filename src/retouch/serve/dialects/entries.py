"""What became of the rows of a table, in the words of Azure ML's and MLflow's answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from retouch.errors import RetouchError
from retouch.serve.dialect import plain_words
from retouch.serve.dialects.row_requests import RowReader
from retouch.serve.dialects.tables import Row

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """What became of one row.

    Attributes:
        entries: one for each picture that was asked for.
        seeds: of the pictures.
        error: why there are none.
    """

    entries: list[Entry]
    seeds: list[int | None]
    error: RetouchError | None = None


def entry(prompt: str, picture: str, *, is_flagged: bool | None) -> Entry:
    """Return the entry of a picture, which comes in base64."""
    return {"prompt": prompt, "generated_image": picture, "nsfw_content_detected": is_flagged}


def failed(row: Row, at: int, reader: RowReader, error: RetouchError) -> Scored:
    """Tell of a row that gave no picture, in the place of each picture that it asked for."""
    cells = cells_of(row)
    prompt = cells.get("prompt")
    is_shown = isinstance(prompt, str) and len(prompt) <= reader.limits.prompt_chars
    told = {
        "prompt": prompt if is_shown else None,
        "generated_image": None,
        "nsfw_content_detected": None,
        "error": {"row": at, **plain_words(error).body["error"]},
    }
    count = reader.count(cells, at)
    return Scored([told] * count, [None] * count, error)


def worst(scored: Sequence[Scored]) -> RetouchError | None:
    """Return the error that counts among those of several rows: a fault of ours before one of the input.

    Of equal ones it is the first; its message names the row, where there are several.
    """
    errors = [(row.error.status, -at, row.error) for at, row in enumerate(scored) if row.error is not None]
    if not errors:
        return None
    _, at, error = max(errors, key=lambda one: one[:2])
    if len(scored) > 1:
        error.args = (f"row {-at}: {error}",)
    return error


def cells_of(row: Row) -> Mapping[str, Any]:
    """Return a row's cells; none of one that could not be read."""
    return {} if isinstance(row, RetouchError) else row
