"""A row of results as one line of a table: plain values under names that never change."""

import json
from collections.abc import Mapping

from retouch.batch.entry import Kept
from retouch.batch.rows import Cell

COLUMNS: Mapping[str, type] = {
    "id": str,
    "row": int,
    "source": str,
    "source_row": int,
    "status": str,
    "file": str,
    "seed": int,
    "nsfw_content_detected": bool,
    "kept_pixels_identical": bool,
    "mask_coverage": float,
    "warnings": str,
    "error_code": str,
    "error_message": str,
    "error_hint": str,
    "seconds": float,
    "variants": int,
    "extra": str,
}


def flat(kept: Kept) -> dict[str, Cell]:
    """Return a row's values in the order of `COLUMNS`; lists are joined, extra columns are JSON."""
    record, error = kept.record, kept.record.get("error") or {}
    found: dict[str, Cell] = {
        "status": kept.status,
        "file": kept.files[0] if kept.files else None,
        "mask_coverage": (record.get("mask_report") or {}).get("coverage"),
        "warnings": "; ".join(record.get("warnings", ())) or None,
        "error_code": error.get("code"),
        "error_message": error.get("message"),
        "error_hint": error.get("hint") or None,
        "seconds": (record.get("timings_s") or {}).get("total"),
        "variants": len(kept.files),
        "extra": json.dumps(record["extra"]) if "extra" in record else None,
    }
    return {name: found[name] if name in found else record.get(name) for name in COLUMNS}
