"""Measures a replica of one core: calls of the embedded model by their rows, and the host's work beside them."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.busy import processor
from benchmarks.fleet.beside import ask, phases, serving
from benchmarks.jobs import THREADS, life, new_times

from retouch.batch.entry import Entry, StoredFile
from retouch.batch.ledger import Ledger
from retouch.engine.scheduler import Stage
from retouch.imaging.choices import FileFormat
from retouch.jobs.sqlite_store import SqliteJobStore
from retouch.jobs.store import JobLimits

POCKET_SIDE, LARGE_SIDE = 256, 512
COUNTS, STEPS, REPEATS = (1, 2, 4, 8, 16), 6, 3
LONE = 6
LEDGER_ROWS, JOBS = 256 * 200, 200
RECORD = {
    "id": "", "row": 0, "source": "part-00000.csv", "source_row": 0, "seed": 867459719,
    "nsfw_content_detected": False, "variants": [], "kept_pixels_identical": True,
    "mask_report": {
        "polarity": "white", "threshold": 0.5, "grow_px": 0, "fill_holes": False, "width": 512, "height": 512,
        "marked_pixels": 65536, "coverage": 0.25, "box": [128, 128, 384, 384], "latent_cells": 4096,
        "latent_cells_cover": 1024, "latent_cells_nearest": 1024, "warnings": [],
    },
    "timings_s": {
        "queued": 0.036, "encode text": 0.1173, "encode pictures": 0.6778, "step": 1.4857, "decode": 1.0967,
        "finish": 0.9955, "total": 4.7054,
    },
    "warnings": [],
}  # fmt: skip
"""What a batch keeps of a row, as it keeps it."""


def calls(side: int) -> dict[str, dict[str, float]]:
    """Return the seconds of calls by kind and rows, of pictures that go together; for a process of one thread."""
    from benchmarks.engine import forgetful, plans_of, run_engine

    from retouch.engine.engine import Engine
    from retouch.models.load import load_model

    found: dict[str, dict[str, list[float]]] = {}
    asked = argparse.Namespace(side=side, steps=STEPS)
    with Engine(load_model(None), forgetful(0)) as engine:
        for count in COUNTS:  # a shape's first call also prepares its kernels, which a server does once
            run_engine(engine, plans_of(count, asked))
        for count in COUNTS * REPEATS:
            before, plans = engine.stats(), plans_of(count, asked)
            cpu_s, wall_s = time.process_time(), time.perf_counter()
            run_engine(engine, plans)
            # Of a thread that never waits: less than 1 where others have the core meanwhile.
            share = (time.process_time() - cpu_s) / (time.perf_counter() - wall_s)
            after = engine.stats()
            model_s = {kind: after.model_s[kind] - before.model_s[kind] for kind in Stage}
            model_s[Stage.STEP] += after.tick_s - before.tick_s - sum(model_s.values())  # samplers, most of all
            for kind, seconds in model_s.items():
                made = after.calls[kind] - before.calls.get(kind, 0)
                rows = round((after.rows[kind] - before.rows.get(kind, 0)) / made)
                found.setdefault(kind.value, {}).setdefault(str(rows), []).append(share * seconds / made)
    return {
        kind: {rows: statistics.median(known[rows]) for rows in sorted(known, key=int)}
        for kind, known in found.items()
    }


def host(side: int) -> dict[str, float]:
    """Return the core's seconds that a lone request of a server takes beside its calls: before them, and after.

    The engine's part is told in the wall's seconds, and has the same share of the core's.
    """
    with serving(1) as servers:
        ask(servers, [STEPS], side=side, clients=1)  # warm
        told = phases(servers[0].url)
        asked = ask(servers, [STEPS] * LONE, side=side, clients=1)
        spent = {name: seconds - told[name] for name, seconds in phases(servers[0].url).items()}
    wall_s = sum(asked.wall.latencies_s)
    share = sum(asked.core.latencies_s) / wall_s
    around_s = (wall_s - sum(seconds for name, seconds in spent.items() if name != "total")) / 2
    return {"before": share * around_s / LONE, "after": share * (around_s + spent["finish"]) / LONE}


def picture_kb() -> dict[str, float]:
    """Return the size of a 512x512 picture in the formats that are written, the mean of five photographs."""
    from PIL import Image
    from skimage import data
    from sklearn.datasets import load_sample_image

    from retouch.imaging.decode import decode_picture
    from retouch.imaging.encode import encode_picture

    shown = [data.astronaut(), data.coffee(), data.chelsea(), *map(load_sample_image, ("china.jpg", "flower.jpg"))]
    pictures = []
    for pixels in shown:
        side = min(pixels.shape[:2])
        square = Image.fromarray(pixels[:side, :side]).resize((LARGE_SIDE, LARGE_SIDE), Image.Resampling.LANCZOS)
        pictures.append(decode_picture(square))
    formats: dict[FileFormat, int | None] = {"PNG": None, "JPEG": 90, "WEBP": 90}
    return {
        name: statistics.mean(len(encode_picture(one, name, quality=quality)) for one in pictures) / 1000
        for name, quality in formats.items()
    }


def ledger() -> dict[str, float]:
    """Return the bytes of a batch's row in its ledger, and rows a second that are kept in groups of 256."""
    with tempfile.TemporaryDirectory() as folder:
        book = Ledger.open(Path(folder) / "ledger.sqlite")
        start = time.perf_counter()
        for first in range(0, LEDGER_ROWS, 256):
            book.add([_entry(row) for row in range(first, first + 256)])
        taken_s = time.perf_counter() - start
        book.close()
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
    return {"bytes_a_row": size / LEDGER_ROWS, "rows_per_s": LEDGER_ROWS / taken_s}


def _entry(row: int) -> Entry:
    file = StoredFile(f"pictures/{row // 1000:06d}/{row:09d}.png", f"{row:064x}", 400_000, time.time_ns())
    return Entry(row, "done", RECORD | {"id": f"photo-{row:09d}", "row": row, "source_row": row}, (file,))


def replica() -> dict[str, Any]:
    """Measure what a simulation of this machine needs: calls, and the host's work beside them."""
    command = [sys.executable, "-m", "benchmarks.fleet", "--calls", str(POCKET_SIDE)]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    return {
        "machine": f"one core of {processor()}",
        "date": datetime.now(UTC).date().isoformat(),
        "call_s": json.loads(done.stdout),
        "host_s": {str(POCKET_SIDE): host(POCKET_SIDE)},
    }


def jobs_per_s() -> float:
    """Return how many jobs a second one store takes from their request to the reading of their picture."""
    limits = JobLimits(unfinished_per_owner=JOBS)
    with (
        tempfile.TemporaryDirectory() as folder,
        SqliteJobStore.open(Path(folder), limits) as store,
        ThreadPoolExecutor(THREADS) as pool,
    ):
        start = time.perf_counter()
        list(pool.map(lambda _: life(store, 400_000, new_times()), range(JOBS)))
        return JOBS / (time.perf_counter() - start)


def measure() -> dict[str, Any]:
    """Measure all that the tables need of this machine."""
    told = replica()
    told["host_s"][str(LARGE_SIDE)] = host(LARGE_SIDE)
    return told | {"picture_kb": picture_kb(), "ledger": ledger(), "jobs_per_s": jobs_per_s()}
