"""Requests on their way: clients that come, come again and give up, and routers that choose a replica."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from benchmarks.fleet.events import Events
from benchmarks.fleet.server import End, Machine, Replica, Work

Policy = Literal["random", "two", "least"]


@dataclass(frozen=True, slots=True)
class Fleet:
    """What serves.

    Attributes:
        policy: a replica is chosen at random, as the less loaded of two, or as the least loaded of all.
        routers: each knows what it sent itself, and nothing of the others'.
        slow: so many replicas are `slowness` times slower.
        deaths: (when, how many replicas), chosen at random.
        tries: how often a request is sent before its client gives up; a refused one when it was told to.
        warm_s: latencies count of requests that come later.
    """

    machine: Machine
    replicas: int
    policy: Policy = "least"
    routers: int = 1
    slow: int = 0
    slowness: float = 3.0
    deaths: tuple[tuple[float, int], ...] = ()
    tries: int = 1
    warm_s: float = 0.0


@dataclass(slots=True)
class Report:
    """What became of all requests: each that came was answered, refused or lost.

    Attributes:
        refusals, losses: of tries; `ends` are those of requests.
        latencies_s: of those that were answered, from their first try on.
        seconds: from the first arrival to the last answer.
        step_rows: mean rows of a UNet call.
        busy: share of the time in which devices were busy.
    """

    arrived: int = 0
    ends: Counter[End] = field(default_factory=Counter)
    tries: Counter[End] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    seconds: float = 0.0
    step_rows: float = 0.0
    busy: float = 0.0

    @property
    def per_s(self) -> float:
        """Pictures a second."""
        return self.ends[End.ANSWERED] / self.seconds if self.seconds else 0.0

    def share(self, end: End) -> float:
        """Return the share of requests that ended so."""
        return self.ends[end] / self.arrived

    @property
    def mean_s(self) -> float:
        return sum(self.latencies_s) / len(self.latencies_s)

    def quantile_s(self, share: float) -> float:
        """Return the latency that so large a share of answers did not exceed."""
        ordered = sorted(self.latencies_s)
        return ordered[int(share * (len(ordered) - 1) + 0.5)]


class Router:
    """Sends each request to a replica that is up; knows how many of its own are under way at each."""

    def __init__(self, replicas: Sequence[Replica], policy: Policy, draw: random.Random) -> None:
        self._replicas = replicas
        self._policy = policy
        self._draw = draw
        self._sent = [0] * len(replicas)

    def send(self, work: Work, answer: Callable[[End, float], None]) -> None:
        """Send a request on; where no replica is up it is refused for a second."""
        at = self._choose()
        server = None if at is None else self._replicas[at].server
        if at is None or server is None:
            answer(End.REFUSED, 1.0)
            return
        self._sent[at] += 1
        server.receive(work, partial(self._answered, at, answer))

    def _answered(self, at: int, answer: Callable[[End, float], None], end: End, again_s: float) -> None:
        self._sent[at] -= 1
        answer(end, again_s)

    def _choose(self) -> int | None:
        count = len(self._replicas)
        if self._policy != "least":
            wanted = 1 if self._policy == "random" else 2
            found = [at for at in self._draw.sample(range(count), min(wanted, count)) if self._is_up(at)]
            if found:
                return min(found, key=self._sent.__getitem__)
        up = filter(self._is_up, range(count))
        return min(up, key=self._sent.__getitem__, default=None)

    def _is_up(self, at: int) -> bool:
        return self._replicas[at].server is not None


class Simulation:
    """A fleet and its clients, from the first request to the last answer."""

    def __init__(self, fleet: Fleet, *, seed: int) -> None:
        self.report = Report()
        self._fleet = fleet
        self._events = Events()
        self._draw = random.Random(seed)
        self._replicas = [
            Replica(self._events, fleet.machine, fleet.slowness if number < fleet.slow else 1.0)
            for number in range(fleet.replicas)
        ]
        routing = random.Random(self._draw.random())
        self._routers = [Router(self._replicas, fleet.policy, routing) for _ in range(fleet.routers)]
        for replica in self._replicas:
            replica.start()
        for when_s, count in fleet.deaths:
            self._events.after(when_s, partial(self._die, count))

    def open(self, rate: float, seconds: float, works: Iterator[Work]) -> Report:
        """Let requests arrive at random, so many a second, whatever becomes of them."""

        def arrive() -> None:
            if self._events.now < seconds:
                self._ask(next(works))
                self._events.after(self._draw.expovariate(rate), arrive)

        self._events.after(self._draw.expovariate(rate), arrive)
        return self._to_the_end()

    def closed(self, clients: int, works: Iterable[Work]) -> Report:
        """Let so many clients each send its next request when it has its last answer, until there are none."""
        left = iter(works)

        def go_on() -> None:
            if (work := next(left, None)) is not None:
                self._ask(work, go_on)

        for _ in range(clients):
            self._events.after(0.0, go_on)
        return self._to_the_end()

    def _to_the_end(self) -> Report:
        self._events.run()
        report, counts = self.report, [replica.count for replica in self._replicas]
        calls = sum(count.calls for count in counts)
        report.step_rows = sum(count.rows for count in counts) / calls if calls else 0.0
        report.busy = sum(count.busy_s for count in counts) / (report.seconds * len(counts) or 1.0)
        return report

    def _ask(self, work: Work, then: Callable[[], None] = lambda: None) -> None:
        self.report.arrived += 1
        self._try(work, self._events.now, 1, then)

    def _try(self, work: Work, born: float, tries: int, then: Callable[[], None]) -> None:
        def answered(end: End, again_s: float) -> None:
            self.report.tries[end] += 1
            if end is not End.ANSWERED and tries < self._fleet.tries:
                self._events.after(again_s, partial(self._try, work, born, tries + 1, then))
                return
            self._end(end, born)
            then()

        self._draw.choice(self._routers).send(work, answered)

    def _end(self, end: End, born: float) -> None:
        self.report.ends[end] += 1
        if end is End.ANSWERED:
            self.report.seconds = self._events.now
            if born >= self._fleet.warm_s:
                self.report.latencies_s.append(self._events.now - born)

    def _die(self, count: int) -> None:
        for replica in self._draw.sample(self._replicas, count):
            replica.die()


def steady(fleet: Fleet, rate: float, seconds: float, *, work: Work, seed: int = 1) -> Report:
    """Simulate arrivals at random of one kind of request."""

    def works() -> Iterator[Work]:
        while True:
            yield work

    return Simulation(fleet, seed=seed).open(rate, seconds, works())


def needed(
    fleet: Fleet, rate: float, seconds: float, *, work: Work, fits: Callable[[Report], bool]
) -> tuple[int, Report]:
    """Return how many replicas suit, from the fleet's own on in steps of two in a hundred, and their report."""
    count = fleet.replicas
    while True:
        report = steady(replace(fleet, replicas=count), rate, seconds, work=work)
        if fits(report):
            return count, report
        count += max(1, count // 50)
