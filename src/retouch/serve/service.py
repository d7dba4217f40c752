"""The service: takes requests from any number of clients, and sees each to its end on one event loop.

Decoding, compositing, judging and encoding run in a few threads beside the engines, never on the loop and never on
an engine's thread; a request that waits for its engine holds no thread.
"""

import asyncio
import itertools
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from retouch.errors import (
    Conflict,
    DeadlineExceeded,
    Draining,
    GenerationFailed,
    NonFinite,
    RetouchError,
)
from retouch.imaging.choices import FileFormat
from retouch.imaging.encode import encode_picture
from retouch.job import Job
from retouch.jobs.store import JobStore
from retouch.models.bundle import ModelBundle
from retouch.request import InpaintRequest
from retouch.result import InpaintResult
from retouch.serve.admission import Admission, Lease
from retouch.serve.allocator import give_back
from retouch.serve.batches.desk import BatchDesk
from retouch.serve.batches.folders import BatchFolders
from retouch.serve.company import Company
from retouch.serve.deployer import check_request, fit_to_send
from retouch.serve.desk import Desk
from retouch.serve.fetch import Fetcher
from retouch.serve.fleet import Fleet, Seat
from retouch.serve.metrics import Metrics
from retouch.serve.settings import ServeSettings
from retouch.serve.together import Together
from retouch.serve.work import Work

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

_TIDY_EVERY_S, _TRIM_EVERY_S = 60.0, 10.0
_TICK_S = 0.05
_STICKY_FAILURES = 5
"""So many failed generations in a row, and none that succeeded, are the device's fault and not a request's."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a service is made of.

    Attributes:
        root: the path below which it is served; what clients are told to ask for begins with it.
    """

    settings: ServeSettings
    fleet: Fleet
    admission: Admission
    metrics: Metrics
    hands: ThreadPoolExecutor
    store: JobStore
    batch_store: JobStore
    batch_folders: BatchFolders
    fetcher: Fetcher
    company: Company
    root: str = ""


class Service:
    """What dialects work with. Its methods are for the event loop's thread."""

    def __init__(self, parts: Parts) -> None:
        self.settings = parts.settings
        self.admission = parts.admission
        self.fleet = parts.fleet
        self.metrics = parts.metrics
        self.limits = parts.settings.limits()
        self.is_ready = True
        self.started = int(time.time())
        self.company = parts.company
        self.root = parts.root
        self.desk = Desk(self, parts.store)
        self.batches = BatchDesk(self, parts.batch_store, parts.batch_folders)
        self.fetch = parts.fetcher.fetch
        self._hands = parts.hands
        self._failures = 0
        self._reloads = Together(self._reload)
        self._under_way: dict[Work, None] = {}

    @property
    def is_live(self) -> bool:
        """Whether the engines still make pictures; if not, a supervisor should start the process again."""
        return self._failures < _STICKY_FAILURES

    @property
    def model(self) -> ModelBundle:
        """The model that new work goes to."""
        return self.fleet.inpainters[0].bundle

    @property
    def model_name(self) -> str:
        """What clients call the model: never a path of this machine."""
        return self.fleet.model_name

    async def aside(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what takes more than a moment in one of the threads for it."""
        future = self._hands.submit(work, *args, **kwargs)
        return await asyncio.wrap_future(future)

    def start(self, request: InpaintRequest, *, lease: Lease) -> Work:
        """Take a request, and return at once.

        Args:
            lease: holds one row so far; takes the request's others here. Its owner releases it.
        Raises:
            InvalidField: a field is outside what the deployer allows.
            QueueFull, RateLimited: there is no room for all of its pictures.
        """
        self.check(request)
        lease.take(rows=request.num_images_per_prompt - 1)
        return self.begin(request, lease=lease, deadline_s=self.settings.deadline_s)

    def begin(self, request: InpaintRequest, *, lease: Lease, deadline_s: float) -> Work:
        """Take a request that was checked, and return at once.

        Args:
            lease: holds all of its rows. Its owner releases it.
            deadline_s: the longest that it may take; it may itself ask for less.
        """
        work = Work(request, lease, deadline_s=min(deadline_s, request.deadline_s or deadline_s))
        work.task = asyncio.create_task(self._see_through(work), name="retouch-work")
        self._under_way[work] = None
        work.task.add_done_callback(lambda _: self._under_way.pop(work))
        return work

    def position(self, work: Work) -> int:
        """Return how many came before it and have not begun; 0 once it has."""
        if work.has_begun:
            return 0
        earlier = itertools.takewhile(lambda one: one is not work, self._under_way)
        return 1 + sum(not one.has_begun for one in earlier)

    def drain(self) -> None:
        """Take nothing more; what is under way goes on, but for the batch, which will after the next start."""
        self.is_ready = False
        self.batches.stop()
        self.admission.drain()

    async def drained(self) -> None:
        """Take nothing more, let what runs end within the grace time, and give up what is left."""
        self.drain()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.settings.drain_s
        log.info("draining: %d pictures under way", self.admission.rows)
        while self.admission.rows and loop.time() < deadline:
            await asyncio.sleep(_TICK_S)
        self.interrupt()

    async def reload(self) -> None:
        """Load the model's files again; running work ends on the old ones.

        Raises:
            RetouchError: the new files cannot be used; nothing has changed then.
            Conflict: other servers would go on with the old ones.
        """
        if self.company.is_shared:
            raise Conflict("this server is one of several replicas", hint="deploy again: they change in turn")
        await self._reloads.ask()

    async def open(self) -> None:
        """Settle the jobs that an earlier server left, and keep them tidy from now on."""
        await self.desk.recover(resume=self.settings.resume_jobs)
        await self.batches.open()
        self.company.open(self)
        self._chores = (
            asyncio.create_task(_every(_TIDY_EVERY_S, self._tidy), name="retouch-tidy"),
            asyncio.create_task(_every(_TRIM_EVERY_S, self._trim), name="retouch-trim"),
        )

    async def close(self) -> None:
        """Give up what is under way, note how it ended, and end the engines."""
        for chore in self._chores:
            chore.cancel()
        self.interrupt()
        self.company.stop()
        await asyncio.gather(self.batches.close(), self.desk.close())
        await asyncio.to_thread(self.company.leave)
        await asyncio.to_thread(self.fleet.close, drain=False)
        self._hands.shutdown(wait=True)

    async def _reload(self) -> None:
        # In a thread of its own: it waits for running work, which needs the others.
        await asyncio.to_thread(self.fleet.reload)
        self._failures = 0

    async def _tidy(self) -> None:
        await self.desk.tidy()
        await self.batches.tidy()
        await self.company.tidy()

    async def _trim(self) -> None:
        await asyncio.to_thread(give_back)

    def interrupt(self) -> None:
        """Give up all that is under way: who waits for it is told that the server ends."""
        for work in tuple(self._under_way):
            work.cancel(Draining("the server ended before the picture was done", hint="send it again"))

    async def paint(self, request: InpaintRequest, *, lease: Lease) -> InpaintResult:
        """Run a request to its end; cancelling the caller's task gives the work up.

        Raises:
            RetouchError: what ended the work.
        """
        work = self.start(request, lease=lease)
        try:
            return await work.result()
        finally:
            work.cancel()

    async def preview(self, work: Work) -> bytes | None:
        """Return a rough picture of where work is going, as a PNG fit to be shown; None before its first step."""
        return await work.preview(lambda job: self.aside(_preview_file, job))

    async def encode(
        self,
        result: InpaintResult,
        format: FileFormat = "PNG",
        *,
        index: int = 0,
        metadata: bool = False,
        quality: int | None = None,
    ) -> bytes:
        """Return one picture as a file's bytes, without its EXIF unless the deployer keeps it."""
        result = fit_to_send(result, self.settings)
        return await self.aside(result.encode, format, index=index, metadata=metadata, quality=quality)

    def check(self, request: InpaintRequest) -> None:
        """Check what can be told without pictures or a model: the limits, and what the deployer allows.

        Raises:
            InvalidField: a field is outside.
        """
        check_request(request, self.settings)

    async def _see_through(self, work: Work) -> InpaintResult:
        """Decode, wait for the engine, composite and judge."""
        seat = self.fleet.board(work.request.num_images_per_prompt)
        try:
            async with asyncio.timeout(work.deadline_s):
                work.job = job = await self._submitted(seat, work)
                work.lease.take(size_bytes=job.size_bytes)
                await asyncio.gather(*map(asyncio.wrap_future, job.pending), return_exceptions=True)
                result = await self.aside(job.result)
        except TimeoutError as error:
            late = DeadlineExceeded("the deadline passed before the picture was done")
            self._note(late)
            raise late from error
        except RetouchError as error:
            self._note(error)
            raise
        finally:
            if work.job is not None:
                work.job.cancel()
            seat.leave()
        self._failures = 0
        self.admission.made(len(result.fills))
        self.metrics.finished(result)
        return result

    async def _submitted(self, seat: Seat, work: Work) -> Job:
        """Decode and queue; a client that has gone meanwhile leaves nothing behind."""
        entering = self._hands.submit(seat.inpainter.submit, work.request)
        try:
            return await asyncio.wrap_future(entering)
        except asyncio.CancelledError:
            entering.add_done_callback(_give_up)
            raise

    def _note(self, error: RetouchError) -> None:
        self.metrics.failed(error)
        # A request whose numbers leave their range, or that a policy refuses, says nothing about the device.
        if isinstance(error, GenerationFailed) and not isinstance(error, NonFinite):
            self._failures += 1
            log.error("generation failed (%d in a row): %s", self._failures, error)


def _preview_file(job: Job) -> bytes | None:
    picture = job.preview()
    return None if picture is None else encode_picture(picture)


def _give_up(entering: "Future[Job]") -> None:
    if not entering.cancelled() and entering.exception() is None:
        entering.result().cancel()


async def _every(seconds: float, chore: Callable[[], Awaitable[None]]) -> None:
    """Do a chore for ever."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await chore()
        except Exception:  # what failed now may go well the next time, and nobody would begin it again
            log.exception("a chore failed")
