"""A batch from its input to its files: what run this is, what is left to do, who does it, what is made of it."""

import copy
import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from retouch.batch.claim import turn
from retouch.batch.ledger import Ledger
from retouch.batch.painter import Painter, Recipe
from retouch.batch.pictures import Roots
from retouch.batch.projections import PREDICTIONS, Output, project
from retouch.batch.readers.picture_folder import ids_of
from retouch.batch.readers.source import Source
from retouch.batch.rows import Row
from retouch.batch.runner import Allowance, Progress, Runner
from retouch.batch.storage import telling_storage
from retouch.batch.store import Store, sweep_results
from retouch.batch.whereabouts import claimed, settle
from retouch.errors import BadInput, StorageFailed, TooManyFailures

log = logging.getLogger(__name__)

_SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "AVIF": ".avif", "TIFF": ".tif"}


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as it was asked for.

    Attributes:
        source: the rows.
        output: folder for all that comes of it.
        recipe, roots: how rows become pictures.
        formats: projections beside `results.jsonl`, from `projections.FORMATS`.
        is_csv_safe, predictions: as for `Output`.
        allowance: how many rows may fail.
        ledger: path of the ledger; None is the one in the output.
        retries_failed: compute rows again that failed in an earlier run.
        verifies: compare every picture of an earlier run by its hash.
        safeguards: names of what screens and judges beside the package's own checks.
    """

    source: Source
    output: Path
    recipe: Recipe
    roots: Roots
    formats: tuple[str, ...] = ()
    is_csv_safe: bool = False
    predictions: str = PREDICTIONS
    allowance: Allowance = field(default_factory=Allowance)
    ledger: Path | None = None
    retries_failed: bool = False
    verifies: bool = False
    safeguards: tuple[str, ...] = ()

    def settings(self) -> dict[str, Any]:
        """Return what decides the results beside rows and model, as plain values."""
        recipe = self.recipe
        return {
            "fields": dict(recipe.fields),
            "mask_image": None if recipe.mask_image is None else _hash(recipe.mask_image),
            "seed": recipe.seed,
            "keep_extra": recipe.columns.keep_extra,
            "format": recipe.format,
            "quality": recipe.quality,
            "metadata": recipe.metadata,
            **({"safeguards": list(self.safeguards)} if self.safeguards else {}),
        }


@dataclass(frozen=True, slots=True)
class Engaged:
    """A painter that is ready, how many rows it wants at once, and what of its model decides the pictures."""

    painter: Painter
    width: int
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run left.

    Attributes:
        counts: rows by how they ended.
        made: rows that this run computed.
        recomputed: rows of an earlier run whose pictures were gone or changed.
        files: results that were written.
    """

    counts: Counter[str]
    made: int
    recomputed: int
    files: tuple[Path, ...]

    @property
    def is_all_done(self) -> bool:
        return self.counts["done"] == sum(self.counts.values())


def run_batch(
    batch: Batch,
    engage: Callable[[], AbstractContextManager[Engaged]],
    *,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Outcome:
    """Run a batch to its end, or go on with it where it was interrupted.

    Args:
        engage: gives the painter; a model is loaded only where there is work for it.
    Raises:
        BadInput: the input cannot be read, or the output belongs to another run.
        StorageFailed: the disk is full or fails.
        TooManyFailures: more rows failed than may; results were written.
    """
    batch.source.check(batch.recipe.columns)
    with telling_storage(), claimed(batch.output, batch.ledger) as ledger, closing(_store(batch)) as store:
        ledger.agree("input", batch.source.fingerprint(), amend=partial(_mended, ledger))
        ledger.agree("settings", batch.settings())
        settle(batch.output, ledger)
        store.sweep()
        recomputed = _renounce(batch, ledger, store)
        before = sum(ledger.counts().values())
        try:
            if not _is_complete(ledger):
                _paint(batch, engage, ledger, store, on_progress)
        except StorageFailed as error:
            ledger.note(str(error))
            raise
        except TooManyFailures:
            write_results(batch.output, ledger, ())
            raise
        files = write_results(
            batch.output, ledger, batch.formats, is_csv_safe=batch.is_csv_safe, predictions=batch.predictions
        )
        counts = ledger.counts()
        return Outcome(counts, sum(counts.values()) - before, recomputed, files)


def write_results(
    output: Path,
    ledger: Ledger,
    formats: tuple[str, ...],
    *,
    is_csv_safe: bool = False,
    predictions: str = PREDICTIONS,
) -> tuple[Path, ...]:
    """Write `results.jsonl` and other forms of the results; return where they are.

    Args:
        is_csv_safe, predictions: as for `Output`.
    Raises:
        StorageFailed: there is no room for them.
    """
    safeguards = (ledger.facts("settings") or {}).get("safeguards", ())
    made_of = Output(output, ledger.kept, is_csv_safe, predictions, "content_safety" in safeguards)
    with telling_storage(), turn(output) as is_alone:
        if is_alone:
            sweep_results(output)
        return tuple(project(format, made_of) for format in dict.fromkeys(("jsonl", *formats)))


def check_output(output: Path, source: Source) -> None:
    """Refuse to write among the input, where results would be taken for input the next time.

    Raises:
        BadInput: the output is the input's folder.
    """
    if Path(source.folder).exists() and output.exists() and output.samefile(source.folder):
        raise BadInput("the output is the folder of the input", hint="choose another folder with --output")


def _paint(
    batch: Batch,
    engage: Callable[[], AbstractContextManager[Engaged]],
    ledger: Ledger,
    store: Store,
    on_progress: Callable[[Progress], None],
) -> None:
    with engage() as engaged:
        ledger.agree("model", engaged.facts)
        runner = Runner(
            engaged.painter, store, ledger, engaged.width, allowance=batch.allowance, on_progress=on_progress
        )
        counted = _Counted(batch.source.rows())
        runner.run(counted)
        ledger.agree("extent", {"rows": counted.count})


class _Counted:
    """Rows that are counted as they pass."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._rows = rows
        self.count = 0

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            self.count += 1
            yield row


def _mended(ledger: Ledger, was: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Let files of a folder be others than they were where no picture is made of them: somebody mended them."""
    changed = {
        (part, name)
        for part, facts in now.items()
        for name, mark in facts.get("content", {}).items()
        if was.get(part, {}).get("content", {}).get(name, mark) != mark
    }
    if not changed:
        return was
    made = {kept.record["id"] for kept in ledger.kept() if kept.files}
    mended = copy.deepcopy(was)
    for part, name in changed:
        if made.isdisjoint(ids_of(name)):
            mended[part]["content"][name] = now[part]["content"][name]
    return mended


def _renounce(batch: Batch, ledger: Ledger, store: Store) -> int:
    """Take out what must be computed again; return how many rows lost their pictures."""
    lost = {row for row, file in ledger.files() if not store.is_whole(file, thoroughly=batch.verifies)}
    if lost:
        log.warning("%d rows lost their pictures and are computed again", len(lost))
    again = ledger.rows_with("failed") if batch.retries_failed else []
    ledger.forget([*lost, *again])
    return len(lost)


def _is_complete(ledger: Ledger) -> bool:
    """Tell whether an earlier run came to the end of the input, and all its rows are still kept."""
    extent = ledger.facts("extent")
    return extent is not None and sum(ledger.counts().values()) == extent["rows"]


def _store(batch: Batch) -> Store:
    return Store(batch.output, suffix=_SUFFIXES[batch.recipe.format])


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
