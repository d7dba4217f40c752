"""Times our engine against diffusers' own pipeline on one checkpoint.

    python benchmarks/engine.py small --checkpoint DIR       whole fills, and pictures a second in company
    python benchmarks/engine.py full --checkpoint DIR        one step, encode, decode, and peak memory of each

`small` runs both in one process, in turns, and reports the medians. `full` runs each side in a process of its own,
for a full-size checkpoint twice in memory would measure the swap file, in the reference mode, and compares the
pictures. Both print one JSON object. Seconds are the wall's; `cpu_s` is what the processor spent, which other work
on the machine disturbs less.
"""

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers import StableDiffusionInpaintPipeline

from retouch.engine.batcher import Kind
from retouch.engine.engine import Engine
from retouch.engine.plan import Plan
from retouch.engine.settings import EngineSettings
from retouch.models.bundle import ModelBundle
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
        plans = [plan_of(n, side=args.side, steps=args.steps) for n in range(count)]
        rows = (2, bundle.row_knee, 0) if count > 1 else (2, 0)
        engines = {f"retouch, rows_per_call {r}": Engine(bundle, EngineSettings(rows_per_call=r)) for r in rows}
        sides: dict[str, Callable[[], None]] = {
            "diffusers, one by one": lambda plans=plans: [run_pipe(pipe, [plan]) for plan in plans],  # type: ignore[misc]
        }
        if count > 1:
            sides["diffusers, as a list"] = lambda plans=plans: run_pipe(pipe, plans)  # type: ignore[misc]
        for name, engine in engines.items():
            sides[name] = lambda engine=engine, plans=plans: run_engine(engine, plans)  # type: ignore[misc]
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
    """Measure each side of a full-size checkpoint in its own process, in turns."""
    report: dict[str, list[dict[str, float]]] = {"diffusers": [], "retouch": []}
    pictures: dict[str, Any] = {}
    for _ in range(args.repeats):
        for side, runs in report.items():
            command = [sys.executable, __file__, side, "--checkpoint", str(args.checkpoint)]
            command += ["--side", str(args.side), "--steps", str(args.steps), "--threads", str(args.threads)]
            with tempfile.TemporaryDirectory() as folder:
                picture = Path(folder) / "picture.npy"
                done = subprocess.run(
                    [*command, "--picture", str(picture)], check=True, stdout=subprocess.PIPE, text=True
                )
                pictures[side] = np.load(picture)
            runs.append(json.loads(done.stdout)["result"])
            print(side, runs[-1], file=sys.stderr)
    best = {side: {key: min(run[key] for run in runs) for key in runs[0]} for side, runs in report.items()}
    levels = [np.rint(picture * 255) for picture in pictures.values()]
    return {
        "best": best,
        "runs": report,
        "largest_difference_in_levels": float(np.abs(levels[0] - levels[1]).max()),
    }


class Stopwatch:
    """Adds up the seconds that a module's method takes."""

    def __init__(self, owner: Any, method: str) -> None:
        self.seconds = 0.0
        self.calls = 0
        self._inner = getattr(owner, method)
        setattr(owner, method, self._timed)

    def _timed(self, *args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        result = self._inner(*args, **kwargs)
        self.seconds += time.perf_counter() - start
        self.calls += 1
        return result


def one_fill_by_diffusers(args: argparse.Namespace) -> dict[str, float]:
    """Time one fill by diffusers' pipeline, as it comes, with its default of encoding."""
    pipe = load_pipe(args.checkpoint)
    unet, encode = Stopwatch(pipe.unet, "forward"), Stopwatch(pipe.vae, "encode")
    decode = Stopwatch(pipe.vae, "decode")
    start = time.perf_counter()
    picture = run_pipe(pipe, [plan_of(0, side=args.side, steps=args.steps)])
    total = time.perf_counter() - start
    keep(picture, args)
    return measured(total, unet.seconds / unet.calls, encode.seconds, decode.seconds, args.steps)


def one_fill_by_us(args: argparse.Namespace) -> dict[str, float]:
    """Time one fill by our engine, with the settings of a single picture."""
    bundle: ModelBundle = load_model(args.checkpoint)
    with Engine(bundle, EngineSettings(rows_per_call=2)) as engine:
        start = time.perf_counter()
        picture = run_engine(engine, [plan_of(0, side=args.side, steps=args.steps, reference=True)])
        total = time.perf_counter() - start
        seconds, calls, share = engine.stats().model_s, engine.stats().calls, overhead(engine)
    keep(picture, args)
    step = seconds[Kind.STEP] / calls[Kind.STEP]
    result = measured(total, step, seconds[Kind.PICTURES], seconds[Kind.DECODE], args.steps)
    return {**result, "overhead_share": share}


def keep(picture: Any, args: argparse.Namespace) -> None:
    """Save a picture for the comparison, where one is wanted."""
    if args.picture:
        np.save(args.picture, picture)


def measured(total: float, step: float, encode: float, decode: float, steps: int) -> dict[str, float]:
    """Return one side's numbers under the names of the report."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "cpu_s": time.process_time(),
        "total_s": total,
        "step_s": step,
        "encode_s": encode,
        "decode_s": decode,
        "outside_steps_s": total - step * steps,
        "peak_gib": peak,
    }


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
    "diffusers": one_fill_by_diffusers,
    "retouch": one_fill_by_us,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--side", type=int, help="of the picture, in pixels (128 for small, 512 else)")
    parser.add_argument("--steps", type=int, help="20 for small, 2 else")
    parser.add_argument("--repeats", type=int, help="5 for small, 1 else")
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--picture", type=Path, help="where one side saves its picture")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    is_small = args.mode == "small"
    args.side = args.side or (128 if is_small else 512)
    args.steps = args.steps or (20 if is_small else 2)
    args.repeats = args.repeats or (5 if is_small else 1)
    torch.set_num_threads(args.threads)
    setting = {"side": args.side, "steps": args.steps, "repeats": args.repeats, **versions(args.threads)}
    print(json.dumps({"setting": setting, "result": MODES[args.mode](args)}, indent=1))


if __name__ == "__main__":
    main()
