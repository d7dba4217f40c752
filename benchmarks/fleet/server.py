"""One server under simulated time: the service's own admission and scheduler, whose calls only take their time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Protocol

from benchmarks.fleet.events import Events, Hands, Processor

from retouch.engine.scheduler import CallSizes, Scheduler, Stage
from retouch.engine.settings import EngineSettings
from retouch.errors import QueueFull
from retouch.serve.admission import Admission, Bounds, Lease


class CallTimes(Protocol):
    """How long things take on a machine; see `Times`."""

    @property
    def before_s(self) -> float: ...
    @property
    def after_s(self) -> float: ...
    def call_s(self, kind: Stage, rows: int) -> float: ...


@dataclass(frozen=True, slots=True)
class Machine:
    """What a replica is, and how it is set up.

    Attributes:
        row_cap: most rows of one UNet call.
        queue: pictures under way before others are refused (`max_queued_rows` of the server).
        cores: of the host.
        is_cpu: the models run on the host's cores, too, and not on a device of their own.
        hands: threads that decode, judge and encode.
        start_s: from the start of a process until it is ready.
    """

    times: CallTimes
    row_cap: int = 32
    queue: int = 64
    cores: float = 8.0
    is_cpu: bool = False
    hands: int = 8
    start_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Work:
    """What one request asks for: a picture in so many steps."""

    steps: int
    is_guided: bool = True
    knows_prompt: bool = False


class End(Enum):
    """How a server let go of a request."""

    ANSWERED = "answered"
    REFUSED = "refused"
    LOST = "lost"


Answer = Callable[[End, float], None]
"""Told how it ended, and in how many seconds to come again."""


@dataclass(slots=True, eq=False)
class Visit:
    """A request that a server has let in, with all that the scheduler wants to know of it (`Waiting`)."""

    work: Work
    answer: Answer
    lease: Lease
    since: float = 0.0
    kind: Stage = Stage.TEXT
    is_done: bool = False
    key: str = ""
    size_bytes: int = 0
    is_background: bool = False
    unet_rows: int = field(init=False)
    rows: int = field(init=False)
    calls_left: int = field(init=False)

    def __post_init__(self) -> None:
        self.unet_rows = self.rows = 2 if self.work.is_guided else 1
        self.calls_left = self.work.steps

    def go_on_to(self, kind: Stage) -> None:
        """Wait for a call of another kind."""
        self.kind = kind
        self.rows = 1 if kind in (Stage.PICTURES, Stage.DECODE) else self.unet_rows

    def advance(self, now: float) -> None:
        """Go on from the call that has ended."""
        self.since = now
        if self.kind is Stage.STEP:
            self.calls_left -= 1
            if not self.calls_left:
                self.go_on_to(Stage.DECODE)
        elif self.kind is Stage.DECODE:
            self.is_done = True
        else:
            self.go_on_to(Stage.PICTURES if self.kind is Stage.TEXT else Stage.STEP)


@dataclass(slots=True)
class Count:
    """UNet calls that were made, the rows in them, and the seconds that calls of any kind took."""

    calls: int = 0
    rows: int = 0
    busy_s: float = 0.0


class Server:
    """A process from its start to its end; `retouch serve` with one engine."""

    def __init__(self, events: Events, machine: Machine, count: Count, *, slowness: float = 1.0) -> None:
        settings = EngineSettings()
        sizes = CallSizes(settings, row_cap=machine.row_cap)
        self._events = events
        self._machine = machine
        self._count = count
        self._slowness = slowness
        self._admission = Admission(Bounds(machine.queue, 2**40), clock=lambda: events.now)
        self._scheduler: Scheduler[Visit] = Scheduler(settings, sizes)
        host = Processor(events, machine.cores)
        self._device = host if machine.is_cpu else Processor(events)
        self._hands = Hands(host, machine.hands)
        self._visits: dict[Visit, None] = {}
        self._is_busy = self._is_dead = False

    def receive(self, work: Work, answer: Answer) -> None:
        """Let a request in, or refuse it."""
        try:
            visit = Visit(work, answer, self._admission.enter(None))
        except QueueFull as error:
            answer(End.REFUSED, error.retry_after_s or 1.0)
            return
        self._visits[visit] = None
        self._hands.run(self._machine.times.before_s, partial(self._submit, visit))

    def die(self) -> None:
        """Drop everybody at once, as a process does that is killed."""
        self._is_dead = True
        for visit in self._visits:
            visit.answer(End.LOST, 0.0)

    def _submit(self, visit: Visit) -> None:
        visit.since = self._events.now
        self._scheduler.add(visit, row_s=None)
        self._tick()

    def _tick(self) -> None:
        if self._is_busy or self._is_dead or not self._scheduler.waiting:
            return
        for visit in self._scheduler.admit():
            if visit.work.knows_prompt:
                visit.go_on_to(Stage.PICTURES)
        group = self._scheduler.next()
        kind, rows = group[0].kind, sum(visit.rows for visit in group)
        taken_s = self._machine.times.call_s(kind, rows) * self._slowness
        self._is_busy = True
        self._count.busy_s += taken_s
        if kind is Stage.STEP:
            self._count.calls += 1
            self._count.rows += rows
        self._device.run(taken_s, partial(self._called, group))

    def _called(self, group: list[Visit]) -> None:
        self._is_busy = False
        for visit in group:
            visit.advance(self._events.now)
        ended = [visit for visit in group if visit.is_done]
        if ended:
            self._scheduler.remove(ended)
        for visit in ended:
            self._hands.run(self._machine.times.after_s, partial(self._finish, visit))
        self._tick()

    def _finish(self, visit: Visit) -> None:
        if self._is_dead:
            return
        del self._visits[visit]
        self._admission.made(1)
        visit.lease.release()
        visit.answer(End.ANSWERED, 0.0)


@dataclass(slots=True)
class Replica:
    """A place where a server runs, and runs again after it has died."""

    events: Events
    machine: Machine
    slowness: float = 1.0
    count: Count = field(default_factory=Count)
    server: Server | None = None

    def start(self) -> None:
        self.server = Server(self.events, self.machine, self.count, slowness=self.slowness)

    def die(self) -> None:
        """Lose the process and all that it had; another one is ready after its start."""
        if self.server is not None:
            server, self.server = self.server, None
            server.die()
            self.events.after(self.machine.start_s, self.start)
