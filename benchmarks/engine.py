"""Times our engine against diffusers' own pipeline on one checkpoint.

    python benchmarks/engine.py small --checkpoint DIR       whole fills, and pictures a second in company
    python benchmarks/engine.py full --checkpoint DIR        one step, encode, decode, and peak memory of each

Both run the two sides in one process, in turns, report the medians and print one JSON object. `full` compares
single fills in the reference mode and their pictures, and runs each side once more in a process of its own for its
peak memory; a full-size checkpoint is twice in memory meanwhile (10 GB). Seconds are the wall's; `cpu_s` is what
the processor spent, which other work on the machine disturbs less.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers import StableDiffusionInpaintPipeline

from retouch.engine.engine import Engine
from retouch.engine.plan import Plan
from retouch.engine.scheduler import Stage
from retouch.engine.settings import EngineSettings
from retouch.models.load import load_model

PROMPTS = (
    "a red apple",
    "a green hat",
    "a blue boat",
    "a yellow cat",
    "a brown dog",
    "a pink cake",
    "a white cup",
)


def plan_of(number: int, *, side: int, steps: int, reference: bool = False) -> Plan:
    """Return plan `number`: its own picture, prompt and seed, with a square hole of a quarter of the area."""
    generator = torch.Generator().manual_seed(number)
    coarse = torch.rand(1, 3, 8, 8, generator=generator) * 2 - 1
    image = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear").clamp(-1, 1)[0]
    mask = torch.zeros(1, side, side)
    mask[:, side // 4 : 3 * side // 4, side // 4 : 3 * side // 4] = 1.0
    return Plan(
        prompt=PROMPTS[number % len(PROMPTS)],
        negative_prompt="",
        image=image,
        mask=mask,
        num_inference_steps=steps,
        guidance_scale=5.0,
        strength=1.0,
        seed=number,
        scheduler=None,
        latent_mask="nearest",
        masked_content="original",
        reference=reference,
    )


def plans_of(count: int, args: argparse.Namespace) -> list[Plan]:
    """Return the first plans, made anew: an engine recognises pictures that it has encoded before."""
    return [plan_of(number, side=args.side, steps=args.steps) for number in range(count)]


def forgetful(rows_per_call: int) -> EngineSettings:
    """Return settings that encode every prompt and picture for every run, as diffusers does."""
    return EngineSettings(rows_per_call=rows_per_call, remembered_prompts=0, remembered_pictures=0)


def load_pipe(folder: Path) -> StableDiffusionInpaintPipeline:
    """Load diffusers' pipeline as its documentation does, in fp32."""
    pipe = StableDiffusionInpaintPipeline.from_pretrained(
        folder, torch_dtype=torch.float32, safety_checker=None, requires_safety_checker=False
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def run_pipe(pipe: StableDiffusionInpaintPipeline, plans: Sequence[Plan]) -> Any:
    """Run plans of one size in one call of diffusers' pipeline; return (n, H, W, 3) in [0, 1]."""
    side = plans[0].image.shape[-1]
    return pipe(
        prompt=[plan.prompt for plan in plans],
        image=torch.stack([plan.image for plan in plans]) / 2 + 0.5,
        mask_image=torch.stack([plan.mask for plan in plans]),
        height=side,
        width=side,
        num_inference_steps=plans[0].num_inference_steps,
        guidance_scale=plans[0].guidance_scale,
        strength=1.0,
        generator=[torch.Generator().manual_seed(plan.seed) for plan in plans],
        output_type="np",
    ).images


def run_engine(engine: Engine, plans: Sequence[Plan]) -> Any:
    """Run plans in an engine, all submitted at once; return (n, H, W, 3) in [0, 1]."""
    done = [ticket.future.result() for ticket in [engine.submit(plan) for plan in plans]]
    return torch.stack([one.image for one in done]).permute(0, 2, 3, 1).numpy()


def in_turns(sides: dict[str, Callable[[], None]], repeats: int) -> dict[str, dict[str, float]]:
    """Time each side `repeats` times, in turns, after one run of each to warm up."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for run in sides.values():
        run()
    for _ in range(repeats):
        for name, run in sides.items():
            start, cpu = time.perf_counter(), time.process_time()
            run()
            times[name].append((time.perf_counter() - start, time.process_time() - cpu))
    report: dict[str, dict[str, float]] = {}
    for name, pairs in times.items():
        wall, spent = zip(*pairs)
        report[name] = {
            "median_s": statistics.median(wall),
            "best_s": min(wall),
            "cpu_s": statistics.median(spent),
        }
    return report


def small(args: argparse.Namespace) -> dict[str, Any]:
    """Time whole fills of a small model: alone, and 4 and 16 at once."""
    bundle, pipe = load_model(args.checkpoint), load_pipe(args.checkpoint)
    report: dict[str, Any] = {}
    for count in args.counts:
        plans = partial(plans_of, count, args)
        sides: dict[str, Callable[[], None]] = {
            "diffusers, one by one": lambda plans=plans: [run_pipe(pipe, [plan]) for plan in plans()],  # type: ignore[misc]
        }
        if count > 1:
            sides["diffusers, as a list"] = lambda plans=plans: run_pipe(pipe, plans())  # type: ignore[misc]
        rows = (2, min(bundle.row_knee, 2 * count), 0) if count > 1 else (2, 0)
        engines = {f"retouch, rows_per_call {r}": Engine(bundle, forgetful(r)) for r in rows}
        for name, engine in engines.items():
            sides[name] = lambda engine=engine, plans=plans: run_engine(engine, plans())  # type: ignore[misc]
        timings = in_turns(sides, args.repeats)
        for side in timings.values():
            side["pictures_per_s"] = count / side["median_s"]
        for name, engine in engines.items():
            timings[name]["overhead_share"] = overhead(engine)
            engine.close()
        report[f"{count} at once"] = timings
    return report


def overhead(engine: Engine) -> float:
    """Return the share of an engine's ticks that was not spent inside the models."""
    stats = engine.stats()
    return 1.0 - sum(stats.model_s.values()) / stats.tick_s


def full(args: argparse.Namespace) -> dict[str, Any]:
    """Time single fills of a full-size checkpoint in turns; measure each side's peak memory in its own process."""
    pipe, bundle = load_pipe(args.checkpoint), load_model(args.checkpoint)
    runs: dict[str, list[dict[str, float]]] = {"diffusers": [], "retouch": []}
    with Engine(bundle, forgetful(2)) as engine:
        for _ in range(args.repeats):
            theirs, times = fill_by_diffusers(pipe, args)
            runs["diffusers"].append(times)
            ours, times = fill_by_us(engine, args)
            runs["retouch"].append(times)
            print(runs["diffusers"][-1], runs["retouch"][-1], file=sys.stderr)
        share = overhead(engine)
    medians = {
        side: {key: statistics.median(run[key] for run in times) for key in times[0]}
        for side, times in runs.items()
    }
    return {
        "medians": medians,
        "ratios": {key: medians["retouch"][key] / medians["diffusers"][key] for key in medians["retouch"]},
        "overhead_share": share,
        "largest_difference_in_levels": float(np.abs(np.rint(ours * 255) - np.rint(theirs * 255)).max()),
        "peak_gib": {side: peak_of(side, args) for side in runs},
        "runs": runs,
    }


def peak_of(side: str, args: argparse.Namespace) -> float:
    """Return the peak memory in GiB of a process that loads the checkpoint and makes one fill of two steps."""
    command = [sys.executable, __file__, f"{side}-peak", "--checkpoint", str(args.checkpoint), "--steps", "2"]
    command += ["--side", str(args.side), "--threads", str(args.threads)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(json.loads(done.stdout)["result"]["peak_gib"])


@dataclass
class Stopwatch:
    """Seconds and calls of a method."""

    seconds: float = 0.0
    calls: int = 0


@contextmanager
def watched(owner: Any, method: str) -> Iterator[Stopwatch]:
    """Time a module's method inside the block."""
    watch, inner = Stopwatch(), getattr(owner, method)

    def timed(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        result = inner(*args, **kwargs)
        watch.seconds += time.perf_counter() - start
        watch.calls += 1
        return result

    setattr(owner, method, timed)
    try:
        yield watch
    finally:
        delattr(owner, method)  # the class's own is seen again


def fill_by_diffusers(
    pipe: StableDiffusionInpaintPipeline, args: argparse.Namespace
) -> tuple[Any, dict[str, float]]:
    """Time one fill by diffusers' pipeline, as it comes."""
    with (
        watched(pipe.unet, "forward") as unet,
        watched(pipe.vae, "encode") as encode,
        watched(pipe.vae, "decode") as decode,
    ):
        start = time.perf_counter()
        picture = run_pipe(pipe, [plan_of(0, side=args.side, steps=args.steps)])
        total = time.perf_counter() - start
    return picture, measured(total, unet.seconds / unet.calls, encode.seconds, decode.seconds, args.steps)


def fill_by_us(engine: Engine, args: argparse.Namespace) -> tuple[Any, dict[str, float]]:
    """Time one fill by our engine, with the settings of a single picture."""
    before = engine.stats()
    start = time.perf_counter()
    picture = run_engine(engine, [plan_of(0, side=args.side, steps=args.steps, reference=True)])
    total = time.perf_counter() - start
    after = engine.stats()
    seconds = {kind: after.model_s[kind] - before.model_s[kind] for kind in Stage}
    step = seconds[Stage.STEP] / (after.calls[Stage.STEP] - before.calls.get(Stage.STEP, 0))
    return picture, measured(total, step, seconds[Stage.PICTURES], seconds[Stage.DECODE], args.steps)


def measured(total: float, step: float, encode: float, decode: float, steps: int) -> dict[str, float]:
    """Return one side's numbers under the names of the report."""
    return {
        "total_s": total,
        "step_s": step,
        "encode_s": encode,
        "decode_s": decode,
        "outside_steps_s": total - step * steps,
    }


def own_peak_gib() -> float:
    """Return the most memory this process held; `ru_maxrss` begins with that of the process that started it."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (peak,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(peak) / 2**20


def diffusers_peak(args: argparse.Namespace) -> dict[str, float]:
    """Make one fill by diffusers, and tell this process's peak memory."""
    run_pipe(load_pipe(args.checkpoint), [plan_of(0, side=args.side, steps=args.steps)])
    return {"peak_gib": own_peak_gib()}


def retouch_peak(args: argparse.Namespace) -> dict[str, float]:
    """Make one fill by our engine, and tell this process's peak memory."""
    with Engine(load_model(args.checkpoint), EngineSettings(rows_per_call=2)) as engine:
        run_engine(engine, [plan_of(0, side=args.side, steps=args.steps)])
    return {"peak_gib": own_peak_gib()}


def versions(threads: int) -> dict[str, Any]:
    """Return what a number depends on."""
    return {
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
        "python": platform.python_version(),
        "machine": platform.processor() or platform.machine(),
        "threads": threads,
    }


MODES: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "small": small,
    "full": full,
    "diffusers-peak": diffusers_peak,
    "retouch-peak": retouch_peak,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--side", type=int, help="of the picture, in pixels (128 for small, 512 else)")
    parser.add_argument("--steps", type=int, help="20 for small, 4 else")
    parser.add_argument("--repeats", type=int, help="5 for small, 2 else")
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    is_small = args.mode == "small"
    args.side = args.side or (128 if is_small else 512)
    args.steps = args.steps or (20 if is_small else 4)
    args.repeats = args.repeats or (5 if is_small else 2)
    torch.set_num_threads(args.threads)
    setting = {"side": args.side, "steps": args.steps, "repeats": args.repeats, **versions(args.threads)}
    print(json.dumps({"setting": setting, "result": MODES[args.mode](args)}, indent=1))


if __name__ == "__main__":
    main()
