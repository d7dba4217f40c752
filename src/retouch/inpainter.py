"""The composition root: request → screen → plan → denoise → composite → verdict → result."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import replace
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from retouch.engine.engine import Engine, EngineStats
from retouch.engine.settings import EngineSettings, rows_within
from retouch.engine.several import Engines, engines_of_many, start
from retouch.engine.ticket import Progress, Ticket
from retouch.errors import QueueFull, RetouchError
from retouch.imaging.decode import ImageLike
from retouch.imaging.sources import local
from retouch.job import Job
from retouch.models.bundle import ModelBundle
from retouch.models.devices import memory_bytes
from retouch.models.in_memory import from_pipe
from retouch.models.load import load_model
from retouch.models.options import DEFAULT_OPTIONS, DtypeName, LoadOptions
from retouch.opened import Opened, open_pictures
from retouch.prepare import Prepared, prepare, settle
from retouch.request import DEFAULT_LIMITS, InpaintRequest, Limits
from retouch.result import InpaintResult
from retouch.safety.checkers import ImageChecker, choose_checkers
from retouch.safety.screens import RequestScreen, screen_input, screen_request

SINGLE_PICTURE = EngineSettings(rows_per_call=2)
"""A lone guided request is two rows: with calls of exactly two, a seed is one picture in any company."""

_POLL_S = 0.1
_AHEAD_SHARE = 0.25
"""How much of the queue's memory the pictures that `map` reads ahead may take: they are whole, not canvases."""


class Inpainter:
    """A loaded model behind the whole path from a request to a result; usable from several threads.

    Attributes:
        bundle: the model.
        limits: what a request may ask for.
        checkers: who judges what is handed out.
        screens: who reads requests, after the package's own screen.
        settings: of the engine.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        *,
        settings: EngineSettings | None = None,
        limits: Limits = DEFAULT_LIMITS,
        checkers: Sequence[ImageChecker] | None = None,
        more_checkers: Sequence[ImageChecker] = (),
        screens: Sequence[RequestScreen] = (),
        screen_input: bool = False,
    ) -> None:
        """Start the engine on a bundle; `load` and `from_pipe` are the usual ways here.

        Args:
            settings: how calls are packed. The default gives a seed one picture in any company: in calls of two
                rows, which a lone picture fills, and in `map` in calls of `rows_of_many`.
            limits: what a request may be at most.
            checkers: judge finished pictures, and all must let one pass; None takes the packaged one, with the
                checkpoint's own beside it.
            more_checkers: judge after those.
            screens: read each request after the package's own screen of words, which is always on.
            screen_input: let the checkers look at the pictures that come in, too, before anything is planned.
        """
        self.bundle = bundle
        self.limits = limits
        own = bundle.safety_checker, bundle.feature_extractor
        self.checkers = (*(choose_checkers(*own) if checkers is None else checkers), *more_checkers)
        self.screens = tuple(screens)
        self._screen_input = screen_input
        self.settings = settings or SINGLE_PICTURE
        self._settings_of_many = settings or settings_of_many(bundle)
        self._engine = start(bundle, self.settings)
        self._engine_of_many = self._engine if self._settings_of_many == self.settings else None
        self._starting = threading.Lock()
        self._is_closed = False

    @classmethod
    def load(
        cls,
        model: str | PathLike[str] | None = None,
        *,
        vae: str | PathLike[str] | None = None,
        dtype: DtypeName | None = None,
        threads: int | None = None,
        options: LoadOptions = DEFAULT_OPTIONS,
        **kwargs: Any,
    ) -> Self:
        """Load a checkpoint by name: nothing for the embedded model, a folder, a single file or a hub id.

        Args:
            vae: a VAE file or folder in the place of the checkpoint's own; short for `LoadOptions.vae`.
            options: device, precision, adapters, and what a checkpoint may hold.
            dtype, threads: the same two of `options`, where nothing else of them is wanted.
            kwargs: the constructor's other arguments.
        Raises:
            ModelError: the checkpoint is not there, not whole, not safe, or not of a family that runs.
        """
        if vae is not None:
            options = replace(options, vae=Path(vae))
        name = model if model is None or isinstance(model, str) else Path(model)
        options = replace(
            options, dtype=dtype or options.dtype, threads=options.threads if threads is None else threads
        )
        return cls(load_model(name, options), **kwargs)

    @classmethod
    def from_pipe(cls, pipe: Any, **kwargs: Any) -> Self:
        """Take over the components of a diffusers pipeline that is already in memory."""
        return cls(from_pipe(pipe), **kwargs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        # After an error nobody fetches what is still under way.
        self.close(drain=kind is None)

    def __call__(
        self, prompt: str, image: ImageLike | str, mask_image: ImageLike | str | None = None, **fields: Any
    ) -> InpaintResult:
        """Repaint one picture; `fields` are those of `InpaintRequest`.

        A text is a path here, because this call is for the machine's own user: what a client sent goes into an
        `InpaintRequest`, where no text is ever opened.
        """
        request = InpaintRequest(prompt=prompt, image=local(image), mask_image=local(mask_image))
        return self.run(request.with_fields(**fields))

    def run(
        self, request: InpaintRequest, *, on_progress: Callable[[Progress], None] | None = None
    ) -> InpaintResult:
        """Run one request to its end.

        Args:
            on_progress: called on this thread, some times a second, with the latest progress.
        Raises:
            RetouchError: what ended the work.
        """
        job = self.submit(request)
        try:
            while on_progress is not None and not job.wait(_POLL_S):
                on_progress(job.progress)
            return job.result()
        except BaseException:  # an interrupt, or the caller's own callback: nobody will fetch the result
            job.cancel()
            raise

    def submit(self, request: InpaintRequest, *, background: bool = False) -> Job:
        """Screen, prepare and queue a request, and return at once.

        Args:
            background: its calls wait for those of all requests that are not in the background.
        Raises:
            BadInput: the request cannot be run.
            Blocked: the prompt, or a picture that came in, was refused.
            Unavailable: it could not be screened.
            QueueFull: too much waits already.
        """
        prepared, started = self._prepare(request)
        if background:
            plans = tuple(replace(plan, is_background=True) for plan in prepared.plans)
            prepared = replace(prepared, plans=plans)
        return self._queue(self._engine, prepared, started)

    def _prepare(self, request: InpaintRequest) -> tuple[Prepared, float]:
        """Return what the engine can plan, and when the work on it began."""
        started, since = time.perf_counter(), time.monotonic()
        request = settle(request, self.bundle, self.limits)
        screen_request(request, self.screens)
        return prepare(self._opened(request), self.bundle, since=since), started

    def _opened(self, request: InpaintRequest) -> Opened:
        opened = open_pictures(request, self.limits)
        if self._screen_input:
            screen_input(opened.picture, opened.mask_picture, self.checkers, request.safety)
        return replace(opened, mask_picture=None)

    def _queue(self, engine: Engine | Engines, prepared: Prepared, started: float) -> Job:
        tickets: list[Ticket] = []
        try:
            for plan in prepared.plans:
                tickets.append(engine.submit(plan))
        except RetouchError:
            for ticket in tickets:
                ticket.cancel()
            raise
        return Job(prepared, tuple(tickets), self.bundle, self.checkers, started=started)

    def map(
        self,
        requests: Iterable[InpaintRequest],
        *,
        ordered: bool = True,
        on_error: Literal["raise", "return"] = "raise",
    ) -> Iterator[InpaintResult | RetouchError]:
        """Run many requests with a bounded look-ahead, so that the engine's calls stay full.

        Where no settings were given, calls have `rows_of_many` rows, whatever the number of requests: a picture's
        last bits are those of `map`, in any company, and its record says so.

        Args:
            ordered: yield in the order of the requests; else as they are done.
            on_error: `return` yields a request's error in its place, and goes on.
        Raises:
            RetouchError: of the first request that failed, with `on_error="raise"`; the others are given up.
        """
        under_way: deque[Job | RetouchError] = deque()
        rows = self._settings_of_many.rows_at_once(self.bundle.row_cap)
        try:
            for request in requests:
                # Guided rows come in pairs: as many requests as fill two calls keep the next call full.
                while len(under_way) >= max(2, rows) or self._holds_much(under_way):
                    yield _take(under_way, ordered=ordered, on_error=on_error)
                under_way.append(self._enter(request, under_way))
            while under_way:
                yield _take(under_way, ordered=ordered, on_error=on_error)
        finally:
            for job in under_way:
                if isinstance(job, Job):
                    job.cancel()

    def _holds_much(self, under_way: Iterable[Job | RetouchError]) -> bool:
        """Tell whether the pictures of `map` take so much memory that no more should be read ahead."""
        held = sum(job.size_bytes for job in under_way if isinstance(job, Job))
        return held > self.settings.max_queued_bytes * _AHEAD_SHARE

    def _enter(self, request: InpaintRequest, under_way: Iterable[Job | RetouchError]) -> Job | RetouchError:
        """Submit a request of `map`; where the queue is full of our own jobs, wait for one of them."""
        try:
            prepared, started = self._prepare(request)  # once: a picture from an open file cannot be read again
        except RetouchError as error:
            return error
        while True:
            try:
                return self._queue(self._for_many(), prepared, started)
            except QueueFull as error:
                ahead = [job for job in under_way if isinstance(job, Job) and not job.is_done]
                if not ahead:
                    return error
                ahead[0].wait()
            except RetouchError as error:
                return error

    def _for_many(self) -> Engine | Engines:
        """Return the engine of `map`, which most processes never want: it starts with the first picture."""
        with self._starting:
            if self._engine_of_many is None and not self._is_closed:
                self._engine_of_many = start(self.bundle, self._settings_of_many)
            return self._engine_of_many or self._engine

    def stats(self) -> EngineStats:
        """Return a look at the engine of single requests."""
        return self._engine.stats()

    def close(self, *, drain: bool = True) -> None:
        """Finish what was taken, or with `drain=False` give it up; then end the engine's threads."""
        with self._starting:
            self._is_closed = True
        for engine in (self._engine, self._engine_of_many):
            if engine is not None:
                engine.close(drain=drain)


def settings_of_many(bundle: ModelBundle, *, rows_per_call: int | None = None) -> EngineSettings:
    """Return the settings with which a device makes most pictures a second.

    Args:
        rows_per_call: another number than `rows_of_many`; 0 packs freely.
    """
    rows = rows_of_many(bundle) if rows_per_call is None else rows_per_call
    # What is packed freely would show in the pictures where another engine had what came beside it.
    engines = engines_of_many(bundle) if rows else 1
    return replace(SINGLE_PICTURE, rows_per_call=rows, engines=engines)


def rows_of_many(bundle: ModelBundle) -> int:
    """Return the rows of a call with which `map` makes most pictures a second.

    That is the knee of the device; on a GPU no more than should fit its memory, for a call of fixed rows that does
    not could not be made smaller. Where its memory is not known, it is as for a single picture.
    """
    if bundle.device.type == "cpu":
        return bundle.row_knee
    memory = memory_bytes(bundle.device)
    return SINGLE_PICTURE.rows_per_call if memory is None else rows_within(memory, bundle)


def _take(
    under_way: deque[Job | RetouchError], *, ordered: bool, on_error: Literal["raise", "return"]
) -> InpaintResult | RetouchError:
    """Take the next entry out, and return its result, or its error where that is wanted."""
    entry = under_way[0] if ordered else _first_done(under_way)
    under_way.remove(entry)
    try:
        if isinstance(entry, RetouchError):
            raise entry
        return entry.result()
    except RetouchError as error:
        if on_error == "raise":
            raise
        return error


def _first_done(under_way: Iterable[Job | RetouchError]) -> Job | RetouchError:
    entries = tuple(under_way)
    while True:
        for entry in entries:
            if isinstance(entry, RetouchError) or entry.is_done:
                return entry
        wait([f for job in entries if isinstance(job, Job) for f in job.pending], return_when=FIRST_COMPLETED)
