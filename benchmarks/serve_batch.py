"""What requests notice of a batch that the same server paints meanwhile.

    python benchmarks/serve_batch.py [--pictures 40] [--clients 1] [--repeats 3] [--priority -5]

One server with the embedded model. Its clients send short requests (10 steps) and long ones (40 steps), each the
next one when the last was answered: with nothing else to do, and beside a batch of pictures of 20 steps, in turns.
Printed are the median and the 95th percentile of both, their ratio, and how many rows a second the batch makes
alone and beside the requests.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).parent))
from busy import processor, raise_priority
from serve import LONG, SHARE_OF_LONG, SHORT, ask, files, running

BATCH_STEPS, BATCH_ROWS = 20, 100_000


def write_table(root: Path) -> None:
    """Write a table of more rows than will be painted, all of one picture."""
    for name, data in files().items():
        (root / f"{name}.png").write_bytes(data)
    rows = [f"{number},image.png,mask.png,a red apple\n" for number in range(BATCH_ROWS)]
    (root / "table.csv").write_text("id,image,mask,prompt\n" + "".join(rows))


def begin_batch(url: str) -> str:
    """Begin a batch; return its place once its first rows are done."""
    asked = {"path": "table.csv", "num_inference_steps": BATCH_STEPS, "mask_polarity": "transparent"}
    answer = httpx.post(f"{url}/v1/batches", json=asked, timeout=60)
    answer.raise_for_status()
    place = f"{url}{answer.headers['location']}"
    while not done_rows(place):
        time.sleep(0.1)
    return place


def done_rows(place: str) -> int:
    found = httpx.get(place, timeout=60).json()
    assert found["state"] in ("queued", "running"), "the batch was over too soon"
    count: int = found["rows"]["done"]
    return count


def measured(url: str, steps: list[int], clients: int) -> dict[str, Any]:
    return asyncio.run(ask(url, steps, clients, at_a_time=clients))


def compare(args: argparse.Namespace) -> dict[str, Any]:
    """Ask with and without a batch, in turns."""
    draw = random.Random(1)
    steps = [LONG if draw.random() < SHARE_OF_LONG else SHORT for _ in range(args.pictures)]
    runs: dict[str, list[dict[str, Any]]] = {"idle": [], "beside": []}
    rates: dict[str, list[float]] = {"alone": [], "beside": []}
    with tempfile.TemporaryDirectory() as root, running("ours", RETOUCH_BATCH_ROOT=root) as url:
        write_table(Path(root))
        measured(url, [SHORT, LONG], 1)  # warm
        for _ in range(args.repeats):
            runs["idle"].append(measured(url, steps, args.clients))
            place = begin_batch(url)
            rates["alone"].append(rate(place, lambda: time.sleep(args.alone_s)))
            beside = rate(place, lambda: runs["beside"].append(measured(url, steps, args.clients)))
            rates["beside"].append(beside)
            httpx.delete(place, timeout=60).raise_for_status()
            print(json.dumps({name: made[-1] for name, made in (runs | rates).items()}), file=sys.stderr)
            settled(place)
    times = {
        f"{kind} {quantile}": {
            name: statistics.median(run[kind][quantile] for run in made) for name, made in runs.items()
        }
        for kind in ("short", "long")
        for quantile in ("p50_s", "p95_s")
    }
    for found in times.values():
        found["ratio"] = found["beside"] / found["idle"]
    return {"requests": times, "batch_rows_per_s": {name: statistics.median(made) for name, made in rates.items()}}


def rate(place: str, meanwhile: Any) -> float:
    """Return how many rows a second were done meanwhile."""
    before, start = done_rows(place), time.perf_counter()
    meanwhile()
    return (done_rows(place) - before) / (time.perf_counter() - start)


def settled(place: str) -> None:
    """Wait until a batch that was cancelled has left the processor."""
    until = time.monotonic() + 1.0
    before = -1
    while time.monotonic() < until:
        count = httpx.get(place, timeout=60).json()["rows"]["done"]
        if count != before:
            before, until = count, time.monotonic() + 1.0
        time.sleep(0.2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=40)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--alone-s", type=float, default=10.0)
    parser.add_argument("--priority", type=int)
    args = parser.parse_args()
    if args.priority is not None:
        raise_priority(args.priority)
    print(
        json.dumps(
            {"setting": {"processor": processor(), "cpus": os.cpu_count()}, "result": compare(args)}, indent=1
        )
    )


if __name__ == "__main__":
    main()
