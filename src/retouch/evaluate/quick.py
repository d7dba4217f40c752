"""The quick judge of a checkpoint, meant to run beside its training.

    python -m retouch.evaluate.quick --model DIR --data DIR --cases 100 --out report.json

A hundred holes, one batched sampler: object and colour accuracy with their intervals in a minute or
two. `retouch evaluate` is the whole protocol.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from retouch.evaluate.bootstrap import Estimate
from retouch.evaluate.cases import Quota, rows_by_group, standard_set
from retouch.evaluate.exemplars import trained_probe
from retouch.evaluate.features import LiteFeatures
from retouch.evaluate.judge import Judge
from retouch.evaluate.painters import DEFAULT_SAMPLING, EnginePainter, Painter, Sampling, StockPainter
from retouch.evaluate.report import plain
from retouch.evaluate.scoring import Painted, paint_and_judge, score
from retouch.evaluate.sheet import contact_sheet
from retouch.models.components import read_notes

_SHOWN = ("object_top1", "object_top5", "colour", "object_and_colour", "kernel", "seam_ratio")


@dataclass(frozen=True, slots=True)
class QuickRun:
    """What to judge: a checkpoint on a data folder, in what it has words for; `painter` is `stock` or `engine`."""

    model: Path
    data: Path
    cases: int = 100
    painter: str = "stock"
    size: int = 128
    seed: int = 0
    sampling: Sampling = DEFAULT_SAMPLING


def quick_report(run: QuickRun) -> tuple[dict[str, Any], Painted]:
    """Judge a checkpoint; return what the JSON report says, and the pictures behind it."""
    started = time.perf_counter()
    extractor = LiteFeatures()
    judge = Judge(extractor, trained_probe(run.data, extractor))
    words = read_notes(run.model).vocabulary
    cases = standard_set(run.data, Quota.quick(run.cases), size=run.size, seed=run.seed, words=words)
    with _painter(run) as painter:
        painted = paint_and_judge(painter, cases, judge)
    truths = judge.features([case.truth for case in cases], cases)
    groups = rows_by_group(cases)
    scores = {name: score(painted, truths, rows, seed=run.seed) for name, rows in groups.items()}
    report = {
        "model": str(run.model),
        "painter": painted.painter,
        "sampling": asdict(run.sampling),
        "seed": run.seed,
        "scores": {name: {key: asdict(value) for key, value in rows.items()} for name, rows in scores.items()},
        "paint_s": round(painted.seconds, 2),
        "total_s": round(time.perf_counter() - started, 2),
    }
    return report, painted


def table(scores: dict[str, Any]) -> str:
    """Return the scores of every group as lines of text."""
    lines = []
    for group, values in scores.items():
        shown = (f"{key} {_short(key, Estimate(**values[key]))}" for key in _SHOWN)
        lines.append(f"{group:>19} (n={values['object_top1']['count']}): " + "  ".join(shown))
    return "\n".join(lines)


def _short(key: str, estimate: Estimate) -> str:
    if key in ("kernel", "seam_ratio"):
        return f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"
    percent = estimate.scaled(100)
    return f"{percent.value:.0f}% [{percent.low:.0f}, {percent.high:.0f}]"


@contextmanager
def _painter(run: QuickRun) -> Iterator[Painter]:
    if run.painter == "stock":
        yield StockPainter(run.model, run.sampling)
        return
    from retouch.engine.settings import EngineSettings
    from retouch.inpainter import Inpainter

    settings = EngineSettings(rows_per_call=2 * run.sampling.batch)
    with Inpainter.load(run.model, settings=settings) as inpainter:
        yield EnginePainter(inpainter, run.sampling)


def main(arguments: list[str] | None = None) -> int:
    """Judge the checkpoint that the command line names; print a table, write JSON and a sheet beside it."""
    given = _parse(arguments)
    _hush()
    if given.threads:
        torch.set_num_threads(given.threads)
    sampling = Sampling(given.steps, given.guidance, given.batch, given.scheduler)
    run = QuickRun(given.model, given.data, given.cases, given.painter, given.size, given.seed, sampling)
    report, painted = quick_report(run)
    sys.stdout.write(f"{table(report['scores'])}\npainted in {report['paint_s']} s, all {report['total_s']} s\n")
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(plain(report), indent=1, allow_nan=False) + "\n", encoding="utf-8")
        contact_sheet(painted, limit=40).save(given.out.with_suffix(".png"))
    return 0


def _hush() -> None:
    """Keep progress bars and notes of the libraries out of a log that a training run reads."""
    import diffusers
    import transformers

    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m retouch.evaluate.quick", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a checkpoint in diffusers' folder format")
    parser.add_argument("--data", type=Path, required=True, help="a folder made by `retouch data build`")
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--out", type=Path, help="report.json; a contact sheet goes beside it")
    parser.add_argument("--painter", choices=("stock", "engine"), default="stock")
    parser.add_argument("--steps", type=int, help="by default the checkpoint's advice")
    parser.add_argument("--guidance", type=float, help="by default the checkpoint's advice")
    parser.add_argument("--scheduler", help="of our engine; by default the checkpoint's advice")
    parser.add_argument("--batch", type=int, default=DEFAULT_SAMPLING.batch)
    parser.add_argument("--size", type=int, default=128, help="side of the pictures in pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="of torch; 0 leaves its own choice")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
