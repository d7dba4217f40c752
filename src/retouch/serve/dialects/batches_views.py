"""How our own dialect shows a batch, and hands out its results."""

from collections.abc import Iterator
from typing import Any, Literal

from retouch.batch.entry import STATUSES
from retouch.batch.ledger import Ledger
from retouch.batch.projections import Output, lines
from retouch.batch.runner import Progress
from retouch.errors import InvalidField
from retouch.jobs.job import Job
from retouch.serve.batches.desk import BatchDesk
from retouch.serve.batches.folders import Counts
from retouch.serve.dialects.native_views import standing_of

ResultFormat = Literal["jsonl", "azure", "azure-files", "csv"]
_MEDIA_TYPES = {
    "jsonl": "application/jsonl",
    "azure": "text/csv",
    "azure-files": "text/csv",
    "csv": "text/csv",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".tif": "image/tiff",
}


async def view_of(job: Job, desk: BatchDesk, *, root: str) -> dict[str, Any]:
    """Return what a client sees of a batch: where it stands, and where its results are.

    Args:
        root: the path below which the service is.
    """
    place = f"{root}/v1/batches/{job.id}"
    live, counts = desk.live(job.id), await desk.counts(job)
    view: dict[str, Any] = {
        **standing_of(job),
        "request": {name: value for name, value in job.request.items() if name != "folder"},
        "url": place,
        "results_url": f"{place}/results",
        "rows": None if counts is None else _rows(counts),
    }
    if live is not None and not job.is_finished:
        view["progress"] = None if live.run.progress is None else _progress(live.run.progress)
        if live.trouble is not None:
            view["waits_for"] = {"code": live.trouble.code, "message": str(live.trouble)}
    return view


async def results_of(job: Job, desk: BatchDesk, format: ResultFormat) -> Iterator[bytes]:
    """Return the lines of the results so far.

    Raises:
        InvalidField: the form cannot hold these pictures.
        Gone: the batch is expired.
    """
    if format == "azure" and job.request.get("format", "PNG") != "PNG":
        raise InvalidField("format", "azure holds PNG", hint="take azure-files, or make the batch with format png")
    folder, ledger = desk.folder(job), await desk.ledger(job)
    return (
        iter(()) if ledger is None else _read(ledger, format, Output(folder.output, ledger.kept, is_csv_safe=True))
    )


def media_type_of(kind: str) -> str:
    """Return the media type of results, or of a picture by its suffix."""
    return _MEDIA_TYPES[kind]


def _read(ledger: Ledger, format: str, output: Output) -> Iterator[bytes]:
    try:
        yield from lines(format, output)
    finally:
        ledger.close()


def _rows(counts: Counts) -> dict[str, int | None]:
    return {"total": counts.rows, **{status: counts.ended[status] for status in STATUSES}}


def _progress(progress: Progress) -> dict[str, float | None]:
    left = progress.seconds_left
    return {
        "share": round(progress.share, 4),
        "rows_per_s": round(progress.rate, 3),
        "seconds_left": None if left is None else round(left, 1),
    }
