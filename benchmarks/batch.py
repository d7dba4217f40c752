"""Rows a second of `retouch batch run`, against a loop over diffusers' pipeline and against its list batching.

    python benchmarks/batch.py [--rows 100] [--model DIR] [--sides loop list batch unet]

Every side reads the same CSV file (pictures and masks in base64), makes every row with the same checkpoint, steps
and guidance, and writes a PNG for each row. Each runs in a process of its own, one after the other, which also
tells its peak memory and how long the first and the last quarter of its rows took. The list is as long as the
calls of the batch are (`--list`). The batch also judges every picture, composites, measures the kept pixels, and
makes all of it durable; `--safety off` leaves the judging out. `unet` is no batch, but what none can exceed: the
calls of the UNet for so many rows and nothing else, on every processor.
"""

import argparse
import base64
import csv
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

PROMPTS = ("a red apple", "a green hat", "a blue boat", "a yellow cat", "a brown dog", "a white cup")
SIDES = ("loop", "list", "batch", "unet")


@dataclass(frozen=True)
class Told:
    """What a side tells: seconds from the first row to the last, when rows were done, and MiB at the peak."""

    seconds: float
    done_s: list[float]
    peak_mb: float

    def to_dict(self, rows: int) -> dict[str, float]:
        quarter = max(1, len(self.done_s) // 4)
        first = self.done_s[quarter - 1]
        last = self.done_s[-1] - self.done_s[-quarter - 1] if len(self.done_s) > quarter else first
        return {
            "rows_per_s": rows / self.seconds,
            "seconds": self.seconds,
            "ms_a_row_first_quarter": 1000 * first / quarter,
            "ms_a_row_last_quarter": 1000 * last / quarter,
            "peak_mb": self.peak_mb,
        }


def write_table(path: Path, rows: int, side: int) -> None:
    """Write rows of their own pictures, each with a hole in its middle."""
    from PIL import Image

    mask = np.zeros((side, side), np.uint8)
    mask[side // 4 : 3 * side // 4, side // 4 : 3 * side // 4] = 255
    encoded_mask = _png(Image.fromarray(mask))
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "mask_image", "prompt", "seed"])
        for number in range(rows):
            coarse = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
            picture = Image.fromarray(coarse).resize((side, side), Image.Resampling.BILINEAR)
            writer.writerow([_png(picture), encoded_mask, PROMPTS[number % len(PROMPTS)], number])


def _png(image: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    """Yield decoded rows, as a user's loop over the file does."""
    from PIL import Image

    csv.field_size_limit(2**30)
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            pictures = {
                name: Image.open(io.BytesIO(base64.b64decode(row[name]))).convert(mode)
                for name, mode in (("image", "RGB"), ("mask_image", "L"))
            }
            yield {"prompt": row["prompt"], "seed": int(row["seed"]), **pictures}


def with_pipe(args: argparse.Namespace, size: int) -> Told:
    """Make the rows with diffusers' pipeline, `size` in each call."""
    import torch
    from diffusers import StableDiffusionInpaintPipeline

    pipe = StableDiffusionInpaintPipeline.from_pretrained(
        args.model, torch_dtype=torch.float32, safety_checker=None, requires_safety_checker=False
    )
    pipe.set_progress_bar_config(disable=True)
    output = Path(args.output)
    output.mkdir()

    def make(rows: list[dict[str, Any]], first: int) -> None:
        images = pipe(
            prompt=[row["prompt"] for row in rows],
            image=[row["image"] for row in rows],
            mask_image=[row["mask_image"] for row in rows],
            height=args.side,
            width=args.side,
            num_inference_steps=args.steps,
            guidance_scale=args.guidance,
            strength=1.0,
            generator=[torch.Generator().manual_seed(row["seed"]) for row in rows],
        ).images
        for number, image in enumerate(images, first):
            image.save(output / f"{number}.png")

    done: list[float] = []
    group: list[dict[str, Any]] = []
    start = time.perf_counter()
    for row in rows_of(Path(args.table)):
        group.append(row)
        if len(group) == size:
            make(group, len(done))
            done += [time.perf_counter() - start] * len(group)
            group = []
    if group:
        make(group, len(done))
        done += [time.perf_counter() - start] * len(group)
    return Told(time.perf_counter() - start, done, _peak_mb())


def with_batch(args: argparse.Namespace) -> Told:
    """Make the rows with a batch, as the command line does."""
    from retouch.batch.engage import engaged, inpainter_for_many
    from retouch.batch.job import Batch, run_batch
    from retouch.batch.painter import Recipe
    from retouch.batch.pictures import Roots
    from retouch.batch.places import Place
    from retouch.batch.readers.source import open_source
    from retouch.batch.runner import Progress
    from retouch.models.load import load_model

    source = open_source(args.table)
    fields = {"num_inference_steps": args.steps, "guidance_scale": args.guidance, "safety": args.safety}
    recipe = Recipe(fields=fields, seed=0)
    batch = Batch(source, Path(args.output), recipe, Roots((Place.of(source.folder),)))
    inpainter = inpainter_for_many(load_model(args.model), rows_per_call=args.rows_per_call)
    done: list[float] = []
    start = time.perf_counter()

    def watch(at: Progress) -> None:
        done.extend([time.perf_counter() - start] * (at.finished - len(done)))

    outcome = run_batch(batch, lambda: engaged(inpainter, recipe, batch.roots), on_progress=watch)
    assert outcome.is_all_done, outcome.counts
    return Told(time.perf_counter() - start, done, _peak_mb())


def with_unet(args: argparse.Namespace) -> Told:
    """Make the UNet's calls of the rows, with as many engines and threads as the batch has."""
    import torch

    from retouch.engine.calls import ModelCalls, UnetRow
    from retouch.inpainter import settings_of_many
    from retouch.models.load import load_model
    from retouch.prompts import Prompt

    bundle = load_model(args.model)
    settings = settings_of_many(bundle)
    width, engines = settings.rows_per_call, settings.engines
    cells = args.side // bundle.vae_factor
    models = [ModelCalls(bundle, settings) for _ in range(engines)]
    (text,) = models[0].embed([Prompt(PROMPTS[0])])
    sample = torch.randn(bundle.unet.config.in_channels, cells, cells)

    def make(own: ModelCalls, calls: int) -> list[float]:
        ends = []
        for _ in range(calls):
            own.predict([UnetRow(sample, 500.0, text)] * width)
            ends.append(time.perf_counter())
        return ends

    threads = max(1, torch.get_num_threads() // engines)
    with ThreadPoolExecutor(engines, initializer=partial(torch.set_num_threads, threads)) as pool:
        list(pool.map(make, models, [1] * engines))
        start = time.perf_counter()
        calls = -(-args.rows * args.steps * 2 // (width * engines))
        ends = sorted(chain(*pool.map(make, models, [calls] * engines)))
    done = [ends[-(-(row + 1) * len(ends) // args.rows) - 1] - start for row in range(args.rows)]
    return Told(done[-1], done, _peak_mb())


def _peak_mb() -> float:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


RUNS: dict[str, Callable[[argparse.Namespace], Told]] = {
    "loop": lambda args: with_pipe(args, 1),
    "list": lambda args: with_pipe(args, args.list),
    "batch": with_batch,
    "unet": with_unet,
}


def compare(args: argparse.Namespace) -> dict[str, Any]:
    """Run the sides in processes of their own, on the same table."""
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "rows.csv"
        write_table(table, args.rows, args.side)
        for side in args.sides:
            command = [sys.executable, __file__, *sys.argv[1:], "--child", side]
            command += ["--table", str(table), "--output", str(Path(folder) / side)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            report[side] = json.loads(done.stdout.splitlines()[-1])
            print(side, report[side], file=sys.stderr, flush=True)
    if "batch" in report:
        ours = report["batch"]["rows_per_s"]
        report["times"] = {name: ours / report[name]["rows_per_s"] for name in report if name != "batch"}
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--model", help="a checkpoint's folder; the embedded one by default")
    parser.add_argument("--side", type=int, default=256, help="of the pictures, in pixels")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=5.0)
    parser.add_argument("--safety", default="black")
    parser.add_argument("--list", type=int, default=8, help="pictures in a call of the list")
    parser.add_argument("--rows-per-call", type=int)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=SIDES)
    parser.add_argument("--child", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--table", help=argparse.SUPPRESS)
    parser.add_argument("--output", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.model is None:
        from retouch.models.locate import locate

        args.model = str(locate(None).path)
    if args.child is not None:
        print(json.dumps(RUNS[args.child](args).to_dict(args.rows)))
        return
    import torch

    setting = {name: getattr(args, name) for name in ("rows", "side", "steps", "guidance", "safety", "list")}
    setting |= {"threads": torch.get_num_threads(), "cpus": os.cpu_count(), "torch": torch.__version__}
    print(json.dumps({"setting": setting, "result": compare(args)}, indent=1))


if __name__ == "__main__":
    main()
