"""Real servers of one core each under a closed loop of clients, for what the simulation says of them."""

import asyncio
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


def _request(side: int, seed: int, steps: int) -> httpx.Request:
    """Return a request for a picture of its own, which no server has encoded before."""
    form = {"prompt": "a red apple", "region": "whole", "num_inference_steps": str(steps), "seed": str(seed)}
    sent = {"image": files(side, seed=seed)["image"], "mask_image": files(side)["mask"]}
    parts = {name: (f"{name}.png", data) for name, data in sent.items()}
    request = httpx.Request("POST", "http://any", data=form | {"mask_polarity": "transparent"}, files=parts)
    request.read()
    request.headers["accept"] = "image/png"
    del request.headers["host"]
    return request


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
        left, report = iter([_request(self._side, number, count) for number, count in enumerate(steps)]), Report()

        async def client(http: httpx.AsyncClient) -> None:
            for request in left:
                report.arrived += 1
                born = time.perf_counter()
                url = min(self._urls, key=self._sent.__getitem__)
                self._sent[url] += 1
                answer = await http.post(f"{url}/v1/inpaint", content=request.content, headers=request.headers)
                self._sent[url] -= 1
                answer.raise_for_status()
                report.ends[End.ANSWERED] += 1
                report.latencies_s.append(time.perf_counter() - born)

        async with httpx.AsyncClient(timeout=600, limits=httpx.Limits(max_connections=None)) as http:
            start = time.perf_counter()
            await asyncio.gather(*(client(http) for _ in range(clients)))
            report.seconds = time.perf_counter() - start
        return report
