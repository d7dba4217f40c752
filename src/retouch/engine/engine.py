"""The engine: one loop that gives every trajectory its next call, sharing calls between them."""

import atexit
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import torch

from retouch.engine.calls import ModelCalls
from retouch.engine.plan import Plan, too_late
from retouch.engine.scheduler import Scheduler, Stage
from retouch.engine.settings import EngineSettings
from retouch.engine.stages import PictureMemory, PromptMemory, Stages, failed
from retouch.engine.ticket import Denoised, Ticket
from retouch.engine.trajectory import Trajectory
from retouch.engine.workers import release_workers
from retouch.engine.yielding import threads_now, yielding
from retouch.errors import (
    Cancelled,
    EngineClosed,
    GenerationFailed,
    OutOfMemory,
    RetouchError,
)
from retouch.models.bundle import ModelBundle

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EngineStats:
    """A look at the engine.

    Attributes:
        active, queued: trajectories that take turns, and that wait for a place.
        unet_rows, size_bytes: what all of them hold of the queue's bounds.
        calls, rows: calls made and rows in them since the start, by kind.
        model_s: seconds inside the models, by kind.
        tick_s: seconds inside ticks; what exceeds the models' is the engine's own.
    """

    active: int
    queued: int
    unet_rows: int
    size_bytes: int
    calls: Mapping[Stage, int]
    rows: Mapping[Stage, int]
    model_s: Mapping[Stage, float]
    tick_s: float


class Engine:
    """Continuous batching over one bundle, on one thread.

    `submit`, `stats` and `close` are for any thread. The loop's thread mutates everything else, under the lock
    where others look.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        settings: EngineSettings | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        threads: Callable[[int], int] = threads_now,
    ) -> None:
        """Start the loop.

        Args:
            clock: what deadlines are told in.
            threads: says on how many of so many threads the next call should be.
        """
        self.bundle = bundle
        self.settings = settings or EngineSettings()
        self._clock = clock
        self._calls = ModelCalls(bundle, self.settings, threads=threads)
        memory = PromptMemory(self.settings.remembered_prompts)
        pictures = PictureMemory(self.settings.remembered_pictures)
        self._stages = Stages(self._calls, memory, pictures, rows_per_call=self.settings.rows_per_call)
        self._changed = threading.Condition()
        self._scheduler: Scheduler[Trajectory] = Scheduler(self.settings, self._calls.sizes)
        self._futures: dict[Trajectory, Future[Denoised]] = {}
        self._is_closing = False
        self._tick_s = 0.0
        self._thread = threading.Thread(target=self._loop, name="retouch-engine", daemon=True)
        # A thread that the interpreter stops inside a model's call takes the process down with an abort.
        atexit.register(self.close, drain=False)
        release_workers()  # the caller has mostly loaded the weights, and only waits from now on
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close(drain=kind is None)

    def submit(self, plan: Plan) -> Ticket:
        """Queue a plan, or answer it where there is nothing to denoise; never waits.

        Raises:
            InvalidField: the plan cannot be run with this bundle.
            QueueFull: too many rows or bytes wait already; says when to come again.
            EngineClosed: the engine was closed.
        """
        if plan.strength == 0:
            return self._answered(plan)
        trajectory = Trajectory(plan, self.bundle, since=self._clock())
        future: Future[Denoised] = Future()
        future.set_running_or_notify_cancel()  # only a ticket cancels: the future then says so by its error
        with self._changed:
            self._check_open()
            self._scheduler.add(trajectory, row_s=self._calls.row_s)
            self._futures[trajectory] = future
            self._changed.notify()

        def cancel() -> None:
            trajectory.is_cancelled = True

        release_workers()  # the caller prepared the plan; what it leaves idle would slow the engine down
        return Ticket(future, cancel, trajectory.progress)

    def _answered(self, plan: Plan) -> Ticket:
        """Return the ticket of a plan of strength 0: its own image."""
        self._check_open()
        release_workers()
        if late := too_late(plan.deadline, self._clock()):
            raise late
        image = ((plan.image + 1) / 2).clamp(0, 1)
        rows = self.settings.rows_per_call
        return Ticket.at_once(
            Denoised(image, torch.empty(0), plan.seed, calls=0, rows_per_call=rows, timings_s={})
        )

    def _check_open(self) -> None:
        if self._is_closing:
            raise EngineClosed("the engine was closed")

    def stats(self) -> EngineStats:
        """Return a look at the engine, for metrics."""
        with self._changed:
            return EngineStats(
                active=self._scheduler.active,
                queued=len(self._scheduler.waiting) - self._scheduler.active,
                unet_rows=self._scheduler.unet_rows,
                size_bytes=self._scheduler.size_bytes,
                calls=dict(self._calls.calls),
                rows=dict(self._calls.rows),
                model_s=dict(self._calls.seconds),
                tick_s=self._tick_s,
            )

    def close(self, *, drain: bool = True) -> None:
        """Take nothing more, and wait for the loop to end; arguments as for `stop`."""
        self.stop(drain=drain)
        atexit.unregister(self.close)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def stop(self, *, drain: bool = True) -> None:
        """Take nothing more; the loop ends by itself.

        Args:
            drain: finish what was taken; else it ends with `EngineClosed` before its next call.
        """
        with self._changed:
            self._is_closing = True
            if not drain:
                for trajectory in self._scheduler.waiting:
                    trajectory.failure = trajectory.failure or EngineClosed("the engine was closed")
            self._changed.notify()

    # The loop's thread, from here on: a tick is `next`, `run`, `settle`.

    def _loop(self) -> None:
        try:
            with torch.inference_mode():
                while (group := self._next()) is not None:
                    start = time.perf_counter()
                    with yielding():
                        self._run(group)
                    self._settle()
                    self._tick_s += time.perf_counter() - start
        except BaseException as error:
            self._abandon(error)
            raise

    def _next(self) -> list[Trajectory] | None:
        """Wait for work; return who shares the next call, or None when the engine is closed and empty.

        Nobody shares one while somebody has ended already: that one is answered first.
        """
        with self._changed:
            while not self._scheduler.waiting:
                if self._is_closing:
                    return None
                self._calls.rest()
                release_workers()  # idle, they would slow down whoever computes meanwhile
                self._changed.wait()
            if any(self._has_ended(one) for one in self._scheduler.waiting):
                return []
            for one in self._scheduler.admit():
                self._stages.recall(one)
            return self._scheduler.next()

    def _run(self, group: Sequence[Trajectory]) -> None:
        """Make one call for the group."""
        if not group:
            return
        kind, start = group[0].kind, self._clock()
        for one in group:
            one.seconds.setdefault("queued", start - one.submitted)
        self._attempt(group)
        now = self._clock()
        for one in group:
            one.since = now
            one.seconds[kind.value] = one.seconds.get(kind.value, 0.0) + now - start

    def _settle(self) -> None:
        """Answer those who have ended; outside the lock, for a future's callbacks run here."""
        with self._changed:
            ended = [one for one in self._scheduler.waiting if self._has_ended(one)]
            self._scheduler.remove(ended)
            futures = [self._futures.pop(one) for one in ended]
        for one, future in zip(ended, futures):
            if one.result is not None:
                future.set_result(one.result)
            else:
                future.set_exception(one.failure)

    def _has_ended(self, one: Trajectory) -> bool:
        """Tell whether one is done or has failed; it fails here if nobody wants it any more."""
        if one.failure is None and one.result is None:
            if one.is_cancelled:
                one.failure = Cancelled("the work was cancelled")
            else:
                one.failure = too_late(one.plan.deadline, self._clock())
        return one.failure is not None or one.result is not None

    def _abandon(self, error: BaseException) -> None:
        """Answer everybody who waits: the loop has ended by a fault of its own, and nothing will come."""
        with self._changed:
            self._is_closing = True
            self._scheduler.remove(self._scheduler.waiting)
            waiting, self._futures = self._futures, {}
        for future in waiting.values():
            failure = GenerationFailed("the engine stopped", hint="make a new one; its log says why")
            failure.__cause__ = error
            future.set_exception(failure)

    def _attempt(self, group: Sequence[Trajectory]) -> None:
        """Make the group's call; on failure in smaller parts, so that only the poisoned one fails."""
        try:
            self._stages.run(group)
        except Exception as error:  # noqa: BLE001 - the loop outlives whatever a model or a trajectory raises
            is_memory = _is_out_of_memory(error)
            if is_memory and self._can_halve():
                log.warning("out of memory: at most %d rows a call from now on", self._calls.sizes.row_cap)
                self._attempt(group)
            elif len(group) > 1:
                for one in group:
                    self._attempt([one])
            else:
                log.warning("a trajectory failed (%s): %s", group[0].kind.value, error)
                group[0].failure = _too_large(error) if is_memory else failed(error)

    def _can_halve(self) -> bool:
        if not self._calls.sizes.halve():
            return False
        if self.bundle.device.type == "cuda":
            torch.cuda.empty_cache()  # what failed left its pieces in the allocator
        return True


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _too_large(error: Exception) -> RetouchError:
    failure = OutOfMemory("not enough memory for one picture's call", hint="use a smaller picture or region")
    failure.__cause__ = error
    return failure
