"""Times what refused clients wait when many come at once, and what the next one waits after them.

    python benchmarks/storm.py [--clients 500] [--queue 16] [--repeats 3] [--priority -5]

The server is a process of its own, and so are the clients, which write each request in one piece to a socket: a
client library takes longer to make five hundred requests than the server to refuse them. A refusal's time is from
the first byte sent to the first line received. Every answer must be a picture or 429. The pictures are small
(`--side`): five hundred large ones are a measurement of the machine's loopback.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).parent))
from busy import processor, raise_priority
from serve import SHORT, files, running

EDITS = "/v1/images/edits"


def request_to(url: str, side: int) -> httpx.Request:
    """Return a request for one picture of so many pixels a side."""
    form = {"prompt": "a red apple", "num_inference_steps": str(SHORT), "seed": "1"}
    sent = {name: (f"{name}.png", data) for name, data in files(side).items()}
    return httpx.Request("POST", url + EDITS, data=form, files=sent)


async def storm(request: httpx.Request, clients: int) -> list[tuple[int, float]]:
    """Return each client's status and seconds to the first line of its answer."""
    body = request.read()
    head = [f"POST {EDITS} HTTP/1.1", *(f"{name}: {value}" for name, value in request.headers.items())]
    sent = "\r\n".join(head).encode() + b"\r\n\r\n" + body

    async def client() -> tuple[int, float]:
        reader, writer = await asyncio.open_connection(request.url.host, request.url.port)
        start = time.perf_counter()
        writer.write(sent)
        line = await reader.readline()
        taken = time.perf_counter() - start
        writer.close()
        return int(line.split()[1]), taken

    return await asyncio.gather(*(client() for _ in range(clients)))


def alone(request: httpx.Request) -> float:
    """Return the seconds of a lone request, the median of five."""
    content, times = request.read(), []
    for _ in range(5):
        start = time.perf_counter()
        httpx.post(request.url, content=content, headers=request.headers, timeout=60).raise_for_status()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure(clients: int, queue: int, side: int) -> dict[str, Any]:
    """Run one storm over a fresh server."""
    with running("ours", RETOUCH_MAX_QUEUED_ROWS=str(queue)) as url:
        request = request_to(url, side)
        before = alone(request)
        answers = asyncio.run(storm(request, clients))
        after = alone(request)
    statuses = {status: sum(one == status for one, _ in answers) for status, _ in answers}
    if not set(statuses) <= {200, 429}:
        raise RuntimeError(f"other answers than a picture and a refusal: {statuses}")
    refused = sorted(taken for status, taken in answers if status == 429)
    return {
        "answers": statuses,
        "refused_p50_ms": 1e3 * statistics.median(refused),
        "refused_p95_ms": 1e3 * refused[int(0.95 * (len(refused) - 1))],
        "alone_before_s": before,
        "alone_after_s": after,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--queue", type=int, default=16)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--priority", type=int)
    args = parser.parse_args()
    if args.priority is not None:
        raise_priority(args.priority)
    runs = [measure(args.clients, args.queue, args.side) for _ in range(args.repeats)]
    setting = {"processor": processor(), "cpus": os.cpu_count()}
    print(json.dumps({"setting": setting, "result": runs}, indent=1))


if __name__ == "__main__":
    main()
