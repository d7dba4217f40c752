"""Real servers of one core each under a closed loop of clients, for what the simulation says of them."""

import asyncio
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import httpx
import psutil
from benchmarks.fleet.server import End
from benchmarks.fleet.traffic import Report
from benchmarks.serve import files, running

_PHASE = re.compile(r'^retouch_phase_seconds_sum\{phase="([^"]+)"\} (\S+)$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Served:
    """A server that runs: where, and the seconds that it has had of its core.

    To a server that is never idle these are the wall's, less those in which others had the core.
    """

    url: str
    process: psutil.Process

    def core_s(self) -> float:
        spent = self.process.cpu_times()
        return float(spent.user + spent.system)


@contextmanager
def serving(replicas: int) -> Iterator[list[Served]]:
    """Run so many servers, each on a core of its own with one thread."""
    with ExitStack() as stack:
        served: list[Served] = []
        for core in sorted(os.sched_getaffinity(0))[:replicas]:
            url = stack.enter_context(running("ours", core=core, OMP_NUM_THREADS="1"))
            known = {one.process.pid for one in served}
            (process,) = (one for one in psutil.Process().children() if one.pid not in known)
            served.append(Served(url, process))
        yield served


def phases(url: str) -> dict[str, float]:
    """Return the seconds that a server's requests have spent in each phase so far."""
    return {name: float(seconds) for name, seconds in _PHASE.findall(httpx.get(f"{url}/metrics").text)}


def _request(side: int, seed: int, steps: int) -> httpx.Request:
    """Return a request for a picture of its own."""
    form = {"prompt": "a red apple", "region": "whole", "num_inference_steps": str(steps), "seed": str(seed)}
    sent = {"image": files(side, seed=seed)["image"], "mask_image": files(side)["mask"]}
    parts = {name: (f"{name}.png", data) for name, data in sent.items()}
    request = httpx.Request("POST", "http://any", data=form | {"mask_polarity": "transparent"}, files=parts)
    request.read()
    request.headers["accept"] = "image/png"
    del request.headers["host"]
    return request


@dataclass(slots=True)
class Asked:
    """What came of requests, in the wall's seconds and in those that the servers had of their cores."""

    wall: Report
    core: Report


def ask(servers: Sequence[Served], steps: Sequence[int], *, side: int, clients: int) -> Asked:
    """Send a request for each number of steps, a client's next one when its last was answered.

    Each goes to the server that has least of them under way.
    """
    return asyncio.run(_ask(servers, [_request(side, *one) for one in enumerate(steps)], clients))


async def _ask(servers: Sequence[Served], requests: Sequence[httpx.Request], clients: int) -> Asked:
    left, asked = iter(requests), Asked(Report(), Report())
    sent, answered = [0] * len(servers), [0] * len(servers)

    async def client(http: httpx.AsyncClient) -> None:
        for request in left:
            at = sent.index(min(sent))
            sent[at] += 1
            born, born_core = time.perf_counter(), servers[at].core_s()
            place = f"{servers[at].url}/v1/inpaint"
            answer = await http.post(place, content=request.content, headers=request.headers)
            answer.raise_for_status()
            asked.wall.latencies_s.append(time.perf_counter() - born)
            asked.core.latencies_s.append(servers[at].core_s() - born_core)
            sent[at] -= 1
            answered[at] += 1

    async with httpx.AsyncClient(timeout=600, limits=httpx.Limits(max_connections=None)) as http:
        start, start_core = time.perf_counter(), [one.core_s() for one in servers]
        await asyncio.gather(*(client(http) for _ in range(clients)))
        asked.wall.seconds = time.perf_counter() - start
        core_s = [one.core_s() - before for one, before in zip(servers, start_core)]
    for report in (asked.wall, asked.core):
        report.arrived = report.ends[End.ANSWERED] = len(requests)
    asked.core.seconds = len(requests) / sum(count / seconds for count, seconds in zip(answered, core_s))
    return asked
