"""From a row to what it became: the unit of a batch, for a thread here or an actor elsewhere.

`Painter` is all that the run knows of a model; `InpaintPainter` stands before an `Inpainter`. A row's failure is
its own: it becomes a record, and nothing is raised but what ends the run.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from retouch.batch.decoded import DecodedPictures
from retouch.batch.entry import Painted, Status
from retouch.batch.own_queue import Inpainting, OwnQueue
from retouch.batch.pictures import Roots, fetch
from retouch.batch.room import Room
from retouch.batch.rows import PICTURES, Asked, Columns, Fetched, Row, seed_of
from retouch.errors import (
    BadRow,
    Blocked,
    Cancelled,
    EngineClosed,
    GenerationFailed,
    NonFinite,
    RetouchError,
    Unavailable,
    Unchecked,
)
from retouch.imaging.choices import FileFormat
from retouch.imaging.encode import check_sides, encoding_warnings
from retouch.imaging.picture import Picture
from retouch.request import InpaintRequest, Limits

if TYPE_CHECKING:
    from retouch.job import Job
    from retouch.result import InpaintResult

log = logging.getLogger(__name__)

MAX_HELD_BYTES = 512 * 2**20
"""Decoded pictures of rows under way; a row more is decoded only below that."""
ATTEMPTS = 3
_DECODED_BYTES = 64 * 2**20
_MOST_PAUSE_S = 60.0


class Painter(Protocol):
    """Makes rows into pictures; several threads may paint at once."""

    def paint(self, row: Row) -> Painted:
        """Return what a row became, its failure included.

        Raises:
            EngineClosed, Cancelled: the run is over.
        """
        ...

    def cancel(self) -> None:
        """Give up what is under way; `paint` then raises."""
        ...


@dataclass(frozen=True, slots=True)
class Recipe:
    """How rows become requests, and results become files: what decides the pictures beside the rows and the model.

    Attributes:
        fields: fields of a request for rows that do not name them; without pictures.
        mask_image: the mask of rows that name none, encoded, or None.
        seed: of the run; rows without a seed get theirs from it.
        columns: which columns rows may have.
        format, quality, metadata: of the pictures' files.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    mask_image: bytes | None = field(default=None, repr=False)
    seed: int = 0
    columns: Columns = field(default_factory=Columns)
    format: FileFormat = "PNG"
    quality: int | None = None
    metadata: bool = True

    def request(self, row: Row, roots: Roots, limits: Limits) -> tuple[Asked, InpaintRequest]:
        """Read a row's cells and fetch its pictures, which stay encoded.

        Raises:
            BadInput: a cell cannot be used.
            SourceUnavailable: a picture could not be fetched this time.
        """
        asked = self.columns.read(row)
        fetched: dict[str, Fetched] = {}
        for name in PICTURES:
            if name in asked.pictures:
                with _about(name):
                    fetched[name] = fetch(asked.pictures[name], roots, limits)
        if "image" not in fetched:
            raise BadRow("the row has no image", hint="a column `image` names or holds it")
        # An empty prompt is one, unless there is one for all.
        named = {name: value for name, value in asked.fields.items() if value != "" or name not in self.fields}
        values = {**self.fields, **named}
        if "prompt" not in values:
            raise BadRow("the row has no prompt", hint="a column `prompt`, or one prompt for all")
        if values.get("seed") is None:
            values["seed"] = seed_of(self.seed, asked, {name: one.name for name, one in fetched.items()})
        mask = fetched["mask_image"].data if "mask_image" in fetched else self.mask_image
        return asked, InpaintRequest(image=fetched["image"].data, mask_image=mask, **values)


class InpaintPainter:
    """Paints rows with an `Inpainter`; any number of threads may share it.

    What takes the processor (decoding, masks, compositing, judging, encoding) is done by a few threads at a time,
    so that many may wait for the engine, whose calls stay full.
    """

    def __init__(
        self,
        inpainter: Inpainting,
        recipe: Recipe,
        roots: Roots,
        *,
        attempts: int = ATTEMPTS,
        hands: int | AbstractContextManager[object] = 2,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        """Stand before an inpainter.

        Args:
            attempts: how often a row is tried whose failure may pass.
            hands: threads that may use the processor at once; or what each enters before it does.
            pause: waits so many seconds between two attempts; may be cut short.
        """
        self._inpainter = inpainter
        self._recipe = recipe
        self._roots = roots
        self._attempts = attempts
        self._hands: AbstractContextManager[object] = (
            threading.BoundedSemaphore(hands) if isinstance(hands, int) else hands
        )
        self._room = Room(MAX_HELD_BYTES)
        self._decoded = DecodedPictures(_DECODED_BYTES)
        self._queue = OwnQueue(inpainter)
        self._pause = pause or self._queue.is_cancelled.wait

    def cancel(self) -> None:
        self._queue.cancel()

    def paint(self, row: Row) -> Painted:
        asked: Asked | None = None
        for attempt in range(1, self._attempts + 1):
            self._queue.check()
            try:
                with self._hands:
                    asked, request = self._recipe.request(row, self._roots, self._inpainter.limits)
                return self._paint(row, asked, request)
            except (EngineClosed, Cancelled):
                raise
            except Exception as error:  # noqa: BLE001 - a row's border: its failure must not end the others
                if attempt == self._attempts or not may_pass(error):
                    return failed(row, asked, error)
                log.info("row %d failed (%s), and is tried again", row.number, type(error).__name__)
                asked_s = getattr(error, "retry_after_s", None) or 0.0
            self._pause(max(float(2 ** (attempt - 1)), min(asked_s, _MOST_PAUSE_S)))
        raise AssertionError("unreachable")

    def _paint(self, row: Row, asked: Asked, request: InpaintRequest) -> Painted:
        self._room.enter()
        held = 0
        try:
            job = self._queue.enter(lambda: self._decoded_in(request), self._hands)
            held = job.size_bytes
            self._room.grow(held)
            self._queue.wait(job)
            with self._hands:
                result = _judged(job)
                pictures = self._encoded(result)
        finally:
            self._room.leave(held)
        warnings = dict.fromkeys((*result.warnings, *self._lost(result)))
        record = {**head_of(row, asked), **_told(result), "warnings": list(warnings)}
        return Painted(row.number, "done", record, pictures)

    def _encoded(self, result: "InpaintResult") -> tuple[bytes, ...]:
        recipe = self._recipe
        return tuple(
            result.encode(recipe.format, index=index, metadata=recipe.metadata, quality=recipe.quality)
            for index in range(len(result.fills))
        )

    def _lost(self, result: "InpaintResult") -> tuple[str, ...]:
        """Return what the format of the files does not keep."""
        recipe, fill = self._recipe, result.fills[0]
        metadata = fill.metadata if recipe.metadata else None
        return encoding_warnings(fill.picture, recipe.format, metadata=metadata, quality=recipe.quality)

    def _decoded_in(self, request: InpaintRequest) -> InpaintRequest:
        """Return the request with its pictures decoded."""
        limits = self._inpainter.limits
        request = request.with_fields(
            **{
                name: self._decoded.of(data, limits)
                for name in PICTURES
                if isinstance(data := getattr(request, name), bytes)
            }
        )
        if isinstance(request.image, Picture):
            check_sides(request.image, self._recipe.format)
        return request


def may_pass(error: Exception) -> bool:
    """Tell a failure that may not come again, of a service or a device, from one that will, of the row."""
    if isinstance(error, NonFinite):
        return False
    return isinstance(error, Unavailable | GenerationFailed | MemoryError)


def failed(row: Row, asked: Asked | None, error: Exception) -> Painted:
    """Return the record of a row that failed, or was refused by the safety policy."""
    status: Status = "blocked" if isinstance(error, Blocked) else "failed"
    if isinstance(error, RetouchError):
        where = "".join(f"{note}: " for note in getattr(error, "__notes__", ()))
        told = {"code": error.code, "message": where + str(error), "hint": error.hint}
    else:
        log.warning("row %d failed", row.number, exc_info=error)
        told = {"code": RetouchError.code, "message": f"unexpected {type(error).__name__}", "hint": ""}
    return Painted(row.number, status, {**head_of(row, asked), "error": told})


def head_of(row: Row, asked: Asked | None) -> dict[str, Any]:
    """Return by what a row is known."""
    named = None if asked is None else asked.id
    head = {"id": str(row.number) if named is None else named, "row": row.number}
    head |= {"source": row.source, "source_row": row.index}
    return head | ({"extra": dict(asked.extra)} if asked is not None and asked.extra else {})


def _judged(job: "Job") -> "InpaintResult":
    """Return a job's result, once its pictures were judged.

    Raises:
        Unavailable: a check failed. To one who waits for an answer that is a refusal; a row is tried again, and no
            black picture stands among the results that nobody found anything in.
    """
    unchecked = Unavailable("the picture could not be checked", hint="run again with --retry-failed")
    try:
        result = job.result()
    except Unchecked as error:
        raise unchecked from error
    if any(fill.safety.get("decision") == "failed" for fill in result.fills):
        raise unchecked
    return result


def _told(result: "InpaintResult") -> dict[str, Any]:
    fills = [{"seed": fill.seed, "nsfw_content_detected": fill.nsfw_content_detected} for fill in result.fills]
    return {
        **fills[0],
        "variants": fills[1:],
        "kept_pixels_identical": result.kept_pixels_identical,
        "mask_report": result.mask_report.to_dict(),
        "timings_s": {stage: round(seconds, 4) for stage, seconds in result.timings_s.items()},
    }


@contextmanager
def _about(name: str) -> Iterator[None]:
    """Say in an error which column it is about."""
    try:
        yield
    except RetouchError as error:
        error.add_note(name)
        raise
