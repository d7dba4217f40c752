"""Real servers of one core each under a closed loop of clients, for what the simulation says of them."""

import asyncio
import itertools
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import httpx

from benchmarks.fleet.server import End
from benchmarks.fleet.traffic import Report
from benchmarks.serve import files, running

_PHASE = re.compile(r'^retouch_phase_seconds_sum\{phase="([^"]+)"\} (\S+)$', re.MULTILINE)


@contextmanager
def serving(replicas: int) -> Iterator[list[str]]:
    """Run so many servers, each on a core of its own with one thread; yield their addresses."""
    with ExitStack() as stack:
        cores = sorted(os.sched_getaffinity(0))
        yield [stack.enter_context(running("ours", core=core, OMP_NUM_THREADS="1")) for core in cores[:replicas]]


def phases(url: str) -> dict[str, float]:
    """Return the seconds that a server's requests have spent in each phase so far."""
    return {name: float(seconds) for name, seconds in _PHASE.findall(httpx.get(f"{url}/metrics").text)}


class Ask:
    """Clients of some servers; each request goes to the server that has least of them under way."""

    def __init__(self, urls: Sequence[str], side: int) -> None:
        self._urls = urls
        self._side = side
        self._sent = dict.fromkeys(urls, 0)

    def run(self, steps: Sequence[int], *, clients: int) -> Report:
        """Send a request for each number of steps, a client's next one when its last was answered."""
        return asyncio.run(self._run(steps, clients))

    async def _run(self, steps: Sequence[int], clients: int) -> Report:
        left, report = iter(enumerate(steps)), Report()
        form = httpx.Request("POST", self._urls[0], data={}, files={})
        del form

        async def client(http: httpx.AsyncClient) -> None:
            for number, count in left:
                report.arrived += 1
                born = time.perf_counter()
                url = min(self._urls, key=self._sent.__getitem__)
                self._sent[url] += 1
                answer = await http.post(f"{url}/v1/inpaint", **_request(self._side, number, count))
                self._sent[url] -= 1
                answer.raise_for_status()
                report.ends[End.ANSWERED] += 1
                report.latencies_s.append(time.perf_counter() - born)

        async with httpx.AsyncClient(timeout=600, limits=httpx.Limits(max_connections=None)) as http:
            start = time.perf_counter()
            await asyncio.gather(*(client(http) for _ in range(clients)))
            report.seconds = time.perf_counter() - start
        return report
