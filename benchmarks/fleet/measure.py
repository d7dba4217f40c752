"""Measures a replica of one core: the calls of the embedded model by their rows, and what the host does beside them."""

import argparse
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

from benchmarks.busy import processor
from benchmarks.fleet.beside import Ask, phases, serving

POCKET_SIDE, LARGE_SIDE = 256, 512
COUNTS, STEPS, REPEATS = (1, 2, 4, 8, 16), 6, 2
LONE = 6


def calls(side: int) -> dict[str, dict[str, float]]:
    """Return the seconds of calls by kind and rows, of pictures that go together; for a process of one core."""
    from retouch.engine.engine import Engine
    from retouch.models.load import load_model

    from benchmarks.engine import forgetful, plans_of, run_engine

    found: dict[str, dict[str, list[float]]] = {}
    plans = argparse.Namespace(side=side, steps=STEPS)
    with Engine(load_model(None), forgetful(0)) as engine:
        run_engine(engine, plans_of(1, plans))
        for count in COUNTS * REPEATS:
            before = engine.stats()
            run_engine(engine, plans_of(count, plans))
            after = engine.stats()
            own_s = (after.tick_s - before.tick_s) - sum(after.model_s[k] - before.model_s[k] for k in after.model_s)
            for kind in after.model_s:
                made = after.calls[kind] - before.calls.get(kind, 0)
                rows = round((after.rows[kind] - before.rows.get(kind, 0)) / made)
                seconds = after.model_s[kind] - before.model_s[kind]
                seconds += own_s if kind.value == "step" else 0.0  # samplers are most of the engine's own work
                found.setdefault(kind.value, {}).setdefault(str(rows), []).append(seconds / made)
    return {kind: {rows: min(times) for rows, times in known.items()} for kind, known in found.items()}


def host(side: int) -> dict[str, float]:
    """Return the seconds that a lone request of a real server costs before its first call and after its last."""
    with serving(1) as (url,):
        Ask([url], side).run([STEPS], clients=1)  # warm
        told = phases(url)
        report = Ask([url], side).run([STEPS] * LONE, clients=1)
        spent = {name: (s - told[name]) / LONE for name, s in phases(url).items()}
    engine_s = sum(spent[name] for name in ("queued", "encode text", "encode pictures", "step", "decode") if name in spent)
    beside_s = report.mean_s - engine_s - spent["finish"]
    return {"before": beside_s / 2, "after": beside_s / 2 + spent["finish"]}


def measure() -> dict[str, Any]:
    """Measure this machine."""
    command = [sys.executable, "-m", "benchmarks.fleet", "--calls", str(POCKET_SIDE)]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    return {
        "machine": f"one core of {processor()}",
        "date": datetime.now(UTC).date().isoformat(),
        "call_s": json.loads(done.stdout),
        "host_s": {str(side): host(side) for side in (POCKET_SIDE, LARGE_SIDE)},
    }
