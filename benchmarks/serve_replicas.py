"""Pictures a second of `retouch serve --ray` with two replicas of one core each, against one.

    python -m benchmarks.serve_replicas [--pictures 32] [--steps 20] [--clients 8] [--rounds 2]

Each is a cluster of this machine alone, with the embedded model; they take turns. A client sends its next request
when it has its last answer; seconds are from the first request to the last answer, once the models are loaded.
Where fewer than two cores are idle, the ratio says little.
"""

import argparse
import json
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from benchmarks.serve import files
from tests.serve.replicas.running import replicas
from tests.serve.serving import until


def rate(count: int, *, pictures: int, steps: int, clients: int) -> float:
    """Return pictures a second of so many replicas."""
    sent = {name: (f"{name}.png", data) for name, data in files().items()}
    fields = {"prompt": "a red apple", "num_inference_steps": str(steps), "seed": "7"}
    with tempfile.TemporaryDirectory() as jobs, replicas(None, Path(jobs), str(count)) as running:
        until(lambda: len(running.replicas()) == count, within_s=120, every_s=0.2)

        def ask(_: int) -> None:
            answer = httpx.post(f"{running.url}/v1/images/edits", data=fields, files=sent, timeout=600)
            answer.raise_for_status()

        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(ask, range(clients)))  # each replica has had its first
            start = time.perf_counter()
            list(pool.map(ask, range(pictures)))
            return pictures / (time.perf_counter() - start)


def main() -> None:
    """Print the rates, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, default in (("pictures", 32), ("steps", 20), ("clients", 8), ("rounds", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    rates: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(args.rounds):
        for count, seen in rates.items():
            seen.append(rate(count, pictures=args.pictures, steps=args.steps, clients=args.clients))
    best = {count: round(max(seen), 3) for count, seen in rates.items()}
    told = {"pictures_a_second": best, "ratio": round(best[2] / best[1], 2), "cores": os.cpu_count()}
    print(json.dumps(told | {"load_before": os.getloadavg()[0]}))


if __name__ == "__main__":
    main()
