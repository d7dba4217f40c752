"""Times what the job store adds to a request: creating, starting, ending, reading and listing jobs.

    python benchmarks/jobs.py [--folder FOLDER] [--jobs 100] [--kept 10000]

For pictures of several sizes it takes jobs all the way, one after the other, and prints the median and the 95th
percentile of each call in ms; then jobs a second of 8 threads; then the same beside many kept jobs, where the
limits are checked against all of them. Most of it is the disk's: give the folder that the server will have.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from retouch.jobs.job import Blob, JobDraft, JobKind, JobState, Outcome
from retouch.jobs.sqlite_store import SqliteJobStore
from retouch.jobs.store import JobLimits

CALLS = ("create", "start", "finish", "blob", "get", "page")
REQUEST = {"prompt": "a red apple on a table", "num_inference_steps": 20, "seed": 7}
THREADS = 8

T = TypeVar("T")


def timed(times: list[float], call: Callable[[], T]) -> T:
    start = time.perf_counter()
    value = call()
    times.append(1000 * (time.perf_counter() - start))
    return value


def life(store: SqliteJobStore, size_bytes: int, times: dict[str, list[float]]) -> None:
    """Take one job from its request to the reading of its result."""
    picture, mask = (
        Blob("image", "image/png", os.urandom(size_bytes)),
        Blob("mask", "image/png", os.urandom(5_000)),
    )
    outcome = Outcome(JobState.DONE, {"seeds": [7]}, (Blob("result/0", "image/png", picture.data),))
    draft = JobDraft("ann", JobKind.INPAINT, REQUEST, (picture, mask))
    job = timed(times["create"], lambda: store.create(draft)).job
    timed(times["start"], lambda: store.start(job.id))
    timed(times["finish"], lambda: store.finish(job.id, outcome))
    timed(times["blob"], lambda: store.blob("ann", job.id, "result/0"))
    timed(times["get"], lambda: store.get("ann", job.id))
    timed(times["page"], lambda: store.page("ann"))


def row(name: str, times: dict[str, list[float]]) -> None:
    cells = []
    for call in CALLS:
        ordered = sorted(times[call])
        cells.append(f"{statistics.median(ordered):8.2f} {ordered[int(0.95 * len(ordered))]:8.2f}")
    print(f"{name:>16} |" + " |".join(cells))


def new_times() -> dict[str, list[float]]:
    return {call: [] for call in CALLS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="on the disk to be measured; a temporary one otherwise")
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--kept", type=int, default=10_000)
    arguments = parser.parse_args()
    limits = JobLimits(unfinished_per_owner=1_000_000, finished_jobs=arguments.kept)
    with (
        tempfile.TemporaryDirectory(dir=arguments.folder) as folder,
        SqliteJobStore.open(Path(folder), limits) as store,
    ):
        print(f"ms, median and p95 of {arguments.jobs} jobs; each with a mask of 5 kB, too")
        print(f"{'picture':>16} |" + " |".join(f"{call:^17}" for call in CALLS))
        for size_bytes in (10_000, 400_000, 4_000_000):
            times = new_times()
            for _ in range(arguments.jobs):
                life(store, size_bytes, times)
            row(f"{size_bytes // 1000} kB", times)

        start = time.perf_counter()
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda _: life(store, 400_000, new_times()), range(arguments.jobs)))
        print(f"{arguments.jobs / (time.perf_counter() - start):.0f} jobs of 400 kB a second in {THREADS} threads")

        fill(store, arguments.kept)
        times = new_times()
        for _ in range(arguments.jobs):
            life(store, 10_000, times)
        row(f"{arguments.kept} kept", times)


def fill(store: SqliteJobStore, number: int) -> None:
    """Copy a finished job so often, in the table alone: all of them by calls would take the disk minutes."""
    columns = "owner, kind, state, created_at, ended_at, request, result, fingerprint, blobs, size_bytes"
    store._database.write(
        lambda connection: connection.execute(
            f"WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < {number}) "
            f"INSERT INTO jobs (id, {columns}) SELECT 'job_' || n, {columns} FROM many, "
            "(SELECT * FROM jobs WHERE state = 'done' LIMIT 1)"
        )
    )


if __name__ == "__main__":
    main()
