"""The tables of docs/scale.md, a line at a time."""

import argparse
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from benchmarks.fleet.server import End, Machine, Work
from benchmarks.fleet.times import MEASURED, Times, gpus
from benchmarks.fleet.traffic import Fleet, Policy, Report, needed, steady

from retouch.engine.scheduler import Stage

STEPS, DEVICE = 20, "H100"
GOAL_S, MOST_REFUSED = 5.0, 0.001
CELL_PER_S = 500.0  # a router and its replicas; for more requests there are more of them
ROWS = 1_000_000_000
SAFETY_CALLS = 4  # the prompt, the picture, the mask and the result; a negative prompt is one more
SAFETY_PER_S = 100.0
"""1,000 in ten seconds, of the S0 tier: MicrosoftDocs/azure-ai-docs, content-safety/overview.md, query rates."""
PUTS_PER_S = 3500.0
"""Of one partitioned prefix: Amazon S3's user guide, "Best practices design patterns: optimizing performance"."""
WEIGHTS_GB = 2.13
"""Stable Diffusion 1.5 in fp16: 859.5 + 123 + 84 million parameters."""
BATCH_ROWS = 16  # `rows_of_many` of a full-size checkpoint on a GPU

Lines = Iterator[str]


def line(cells: Sequence[object]) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def head(cells: Sequence[str]) -> Lines:
    yield line(cells)
    yield "|" + "---|" * len(cells)


def percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def latencies(report: Report) -> list[str]:
    return [f"{report.quantile_s(share):.1f}" for share in (0.5, 0.95, 0.99)]


def devices(args: argparse.Namespace) -> dict[str, Times]:
    return {name: times for name, times in gpus().items() if args.gpu in (None, name)}


def sized(times: Times, rate: float, *, row_cap: int = 32) -> tuple[int, Report]:
    """Return how many replicas answer within the goal, and what they do; of several cells, one is simulated."""
    cells = math.ceil(rate / CELL_PER_S)
    seconds = 600.0 if rate < 10 else 90.0 if rate <= 100 else 30.0
    least = math.ceil(rate / cells / times.most_per_s(STEPS, row_cap))
    fleet = Fleet(Machine(times, row_cap=row_cap), least, policy="two", warm_s=15.0)
    count, report = needed(fleet, rate / cells, seconds, work=Work(STEPS), fits=is_good)
    return count * cells, report


def is_good(report: Report) -> bool:
    return report.quantile_s(0.95) <= GOAL_S and report.share(End.REFUSED) <= MOST_REFUSED


def requests(args: argparse.Namespace) -> Lines:
    """How many GPUs answer so many requests a second, how late, and for how many hours of a GPU."""
    yield from head(
        [
            "device", "requests/s", "GPUs", "at most they would make", "rows of a call", "p50, s", "p95, s",
            "p99, s", "refused", "GPU hours for 1,000", *(f"at {price:g} an hour" for price in args.price),
        ]
    )  # fmt: skip
    for name, times in devices(args).items():
        for rate in args.rates:
            count, report = sized(times, rate)
            most = count * times.most_per_s(STEPS, 32)
            hours = 1000 * count / rate / 3600
            told = [
                name,
                f"{rate:,.0f}",
                f"{count:,}",
                f"{most:,.1f}/s",
                f"{report.step_rows:.0f}",
                *latencies(report),
            ]
            yield line(
                [
                    *told,
                    percent(report.share(End.REFUSED)),
                    f"{hours:.3f}",
                    *(f"{hours * p:.2f}" for p in args.price),
                ]
            )


def batch(args: argparse.Namespace) -> Lines:
    """What the most rows of a call decide, at a hundred requests a second."""
    times = gpus()[args.gpu or DEVICE]
    yield from head(
        [
            "most rows of a call",
            "a lone picture, s",
            "a GPU makes at most",
            "GPUs for 100/s",
            "p50, s",
            "p95, s",
            "p99, s",
        ]
    )
    for row_cap in (2, 4, 8, 16, 32):
        count, report = sized(times, 100.0, row_cap=row_cap)
        most = times.most_per_s(STEPS, row_cap)
        yield line([row_cap, f"{times.fill_s(STEPS, 1):.2f}", f"{most:.2f}/s", count, *latencies(report)])


def breaks(args: argparse.Namespace) -> Lines:
    """What troubles do to a fleet that was sized for a hundred requests a second."""
    times = gpus()[args.gpu or DEVICE]
    count, _ = sized(times, 100.0)
    fleet = Fleet(Machine(times), count, policy="two", warm_s=20.0)
    tenth, twentieth = max(1, count // 10), max(1, count // 20)
    yield from head(
        [f"{count} x {args.gpu or DEVICE}, 100/s", "answered", "refused", "lost", "p50, s", "p95, s", "p99, s"]
    )
    policies: dict[Policy, str] = {"random": "at random", "two": "the better of two", "least": "the least loaded"}
    told: list[tuple[str, Fleet, float]] = []
    for policy, name in policies.items():
        chosen = replace(fleet, policy=policy)
        told += [
            (f"{name}", chosen, 100.0),
            (f"{name}; 20 routers that know their own", replace(chosen, routers=20), 100.0),
            (f"{name}; {twentieth} three times slower", replace(chosen, slow=twentieth), 100.0),
        ]
    died = replace(fleet, deaths=((40.0, tenth),))
    told += [
        (f"{tenth} die at once, back in 60 s; sent once", died, 100.0),
        ("the same; sent up to three times", replace(died, tries=3), 100.0),
        ("a fifth more requests; sent once", fleet, 120.0),
        ("the same; sent up to three times", replace(fleet, tries=3), 120.0),
    ]
    for name, one, rate in told:
        report = steady(one, rate, 120.0, work=Work(STEPS))
        yield line([name, *(percent(report.share(end)) for end in End), *latencies(report)])


def rows(args: argparse.Namespace) -> Lines:
    """What a billion rows take."""
    yield from head(
        [
            "device", "rows/s of one", "GPU hours", "days with 100", "days with 1,000",
            *(f"at {price:g} an hour" for price in args.price),
        ]
    )  # fmt: skip
    for name, times in devices(args).items():
        per_s = times.most_per_s(STEPS, BATCH_ROWS)
        hours = ROWS / per_s / 3600
        cells = [name, f"{per_s:.2f}", f"{hours:,.0f}", *(f"{hours / count / 24:,.1f}" for count in (100, 1000))]
        yield line([*cells, *(f"{hours * price:,.0f}" for price in args.price)])
    yield ""
    told = json.loads(MEASURED.read_text(encoding="utf-8"))
    book = told["ledger"]
    yield from head(["what", "of one row", "of a billion"])
    for name, size in told["picture_kb"].items():
        yield line([f"picture, 512x512, {name}", f"{size:.0f} kB", f"{size * ROWS / 1e9:,.0f} TB"])
    moved_kb = 2 * told["picture_kb"]["PNG"]
    yield line(["moved: a PNG in, a PNG out", f"{moved_kb:.0f} kB", f"{moved_kb * ROWS / 1e9:,.0f} TB"])
    yield line(
        ["row of the ledger", f"{book['bytes_a_row']:.0f} B", f"{book['bytes_a_row'] * ROWS / 1e9:,.0f} GB"]
    )
    yield line(["what a run remembers of a finished row", "1 B", "1 GB of memory"])
    yield line(
        [
            "rows that one ledger keeps",
            f"{book['rows_per_s']:,.0f} /s",
            f"{ROWS / book['rows_per_s'] / 3600:,.0f} h",
        ]
    )


def limits(args: argparse.Namespace) -> Lines:
    """What lies beside the GPUs, and how much of it so many requests a second take."""
    times, told = gpus()[args.gpu or DEVICE], json.loads(MEASURED.read_text(encoding="utf-8"))
    host_s, jobs_per_s = times.before_s + times.after_s, told["jobs_per_s"]
    gbit = 2 * told["picture_kb"]["PNG"] * 8 / 1e6
    each: list[tuple[str, str, Callable[[float], str]]] = [
        ("network: a PNG in, a PNG out", f"{gbit:.4f} Gbit", lambda rate: f"{rate * gbit:,.2f} Gbit/s"),
        (
            "host cores: decode, composite, judge, encode",
            f"{1 / host_s:.1f}/s",
            lambda rate: whole(rate * host_s),
        ),
        ("job stores, if every request is a job", f"{jobs_per_s:.0f}/s", lambda rate: whole(rate / jobs_per_s)),
        (
            f"Content Safety's resources: {SAFETY_CALLS} calls",
            f"{SAFETY_PER_S:.0f} calls/s",
            lambda rate: whole(rate * SAFETY_CALLS / SAFETY_PER_S),
        ),
        ("S3's prefixes: a result", f"{PUTS_PER_S:,.0f} PUT/s", lambda rate: whole(rate / PUTS_PER_S)),
        (
            "weights, read by every GPU at its start",
            f"{WEIGHTS_GB} GB",
            lambda rate: f"{whole(math.ceil(rate / times.most_per_s(STEPS, 32)) * WEIGHTS_GB)} GB",
        ),
    ]
    yield from head(["what", "one", *(f"for {rate:,.0f}/s" for rate in args.rates)])
    for what, one, of in each:
        yield line([what, one, *map(of, args.rates)])
    yield ""
    text_share = times.call_s(Stage.TEXT, 2) / times.fill_s(STEPS, 1)
    yield f"Text is {percent(text_share)} of a lone picture's calls: what remembered prompts can save."


def whole(number: float) -> str:
    return f"{math.ceil(number):,}"


TABLES: dict[str, Callable[[argparse.Namespace], Lines]] = {
    "requests": requests,
    "batch": batch,
    "breaks": breaks,
    "limits": limits,
    "rows": rows,
}
