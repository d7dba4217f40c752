"""The simulation's prediction for one and two replicas on this machine, beside what real servers then do."""

import json
import os
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.fleet.beside import Asked, ask, serving
from benchmarks.fleet.measure import POCKET_SIDE, replica
from benchmarks.fleet.server import Machine, Work
from benchmarks.fleet.times import Times, read
from benchmarks.fleet.traffic import Fleet, Report, Simulation

SHORT, LONG, SHARE_OF_LONG = 6, 18, 0.25
FIGURES: dict[str, Callable[[Report], float]] = {
    "pictures/s": lambda report: report.per_s,
    "p50, s": lambda report: report.quantile_s(0.5),
    "p95, s": lambda report: report.quantile_s(0.95),
}


def drawn_steps(pictures: int) -> list[int]:
    """Return how many steps each request asks for: most few, some many."""
    draw = random.Random(1)
    return [LONG if draw.random() < SHARE_OF_LONG else SHORT for _ in range(pictures)]


def predicted(times: Times, replicas: int, steps: Sequence[int], clients: int) -> Report:
    """Simulate servers of one core each, which know the prompt already."""
    hands = min(8, os.cpu_count() or 1)
    machine = Machine(times, cores=1.0, is_cpu=True, hands=hands)
    works = [Work(count, knows_prompt=True) for count in steps]
    return Simulation(Fleet(machine, replicas), seed=1).closed(clients, works)


def measured(replicas: int, steps: Sequence[int], clients: int) -> Asked:
    """Ask real servers."""
    with serving(replicas) as servers:
        for server in servers:
            ask([server], [SHORT] * 2, side=POCKET_SIDE, clients=2)  # warm
        return ask(servers, steps, side=POCKET_SIDE, clients=clients)


def compared(clients: int, pictures: int) -> Iterator[str]:
    """Measure the times, predict, then measure what was predicted; yield the lines of a table."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "measured.json")
        file.write_text(json.dumps(replica()), encoding="utf-8")
        times = read(file, side=POCKET_SIDE)
    steps = drawn_steps(pictures)
    yield f"{times.source}, at a load of {os.getloadavg()[0]:.1f};"
    yield f"{clients} clients, {pictures} pictures of {SHORT} or {LONG} steps"
    yield ""
    yield "| replicas | | predicted | measured | ratio | in the servers' own seconds | ratio |"
    yield "|---|---|---|---|---|---|---|"
    for replicas in (1, 2):
        told, found = predicted(times, replicas, steps, clients), measured(replicas, steps, clients)
        for name, value in FIGURES.items():
            one, wall, core = value(told), value(found.wall), value(found.core)
            cells = (f"{one:.2f}", f"{wall:.2f}", f"{one / wall:.2f}", f"{core:.2f}", f"{one / core:.2f}")
            yield f"| {replicas} | {name} | {' | '.join(cells)} |"
