"""`results.jsonl`: one object a row, in the order of the input, with the same keys in each."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from retouch.batch.entry import Kept
from retouch.batch.projections import Output
from retouch.imaging.save import write_atomically

_KEYS = (
    *("id", "row", "source", "source_row", "status", "file", "seed", "nsfw_content_detected"),
    *("kept_pixels_identical", "mask_report", "warnings", "timings_s", "error", "variants"),
)


def write(output: Output) -> Path:
    """Write it; return its path."""
    path = output.folder / "results.jsonl"
    write_atomically(path, lines(output))
    return path


def result_of(kept: Kept) -> dict[str, Any]:
    """Return a row's object; what it does not have is null."""
    record = dict(kept.record)
    later = [{"file": name, **told} for name, told in zip(kept.files[1:], record.get("variants", ()))]
    found = {"file": kept.files[0] if kept.files else None, "status": kept.status, "warnings": [], **record}
    found["variants"] = later
    return {key: found.get(key) for key in _KEYS} | ({"extra": record["extra"]} if "extra" in record else {})


def lines(output: Output) -> Iterator[bytes]:
    """Yield an object a row."""
    for kept in output.rows():
        yield json.dumps(result_of(kept), allow_nan=False).encode("ascii") + b"\n"
