"""Times a fill of the embedded model alone and beside busy processes, each side in a process of its own.

    python benchmarks/busy.py [--today FOLDER/src] [--repeats 3] [--beside 0 1 3] [--priority -19]
    python benchmarks/busy.py --checkpoint FOLDER --side 512 --steps 1   # of full size
    python benchmarks/busy.py --training                                 # steps of the embedded model's UNet

Sides: retouch as it is; the same with one thread; an earlier state of it (`--today`, the `src` folder of
another checkout), which is what the goals refer to; diffusers' pipeline. In training: workers that give way,
those that wait as PyTorch has it, and a process of one thread for each core. The sides run in turns beside so
many processes that count and do nothing else; each gives the median of its times but the first, for as long as
`--seconds`. With `--priority` this process, and so everything that it starts, comes before the machine's other
work (root only): where the kernel groups processes by session, a nice value counts within one group only, so it
is the group's.
"""

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
POCKET = ROOT / "src/retouch/models/pocket"
TRAINED_ROWS, TRAINED_CELLS = 8, 32


@dataclass(frozen=True)
class Work:
    """What is timed: fills of a checkpoint, so many pixels a side in so many steps."""

    checkpoint: str
    side: int
    steps: int
    seconds: float


def fills(run: Callable[[], object], seconds: float) -> list[float]:
    """Return the times of fills, the first left out, until `seconds` are over; two at least."""
    run()
    times: list[float] = []
    while len(times) < 2 or sum(times) < seconds:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return times


def picture(side: int = 256) -> tuple[Any, Any]:
    """Return a picture (side, side, 3) and a mask of its middle."""
    import numpy as np

    mask = np.zeros((side, side), np.uint8)
    mask[side // 4 : -side // 4, side // 4 : -side // 4] = 255
    return np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8), mask


def retouch_side(work: Work) -> list[float]:
    """Time fills by retouch, from the sources that are on the path."""
    from retouch.inpainter import Inpainter

    image, mask = picture(work.side)
    with Inpainter.load(work.checkpoint) as inpainter:
        return fills(
            lambda: inpainter("a red apple", image, mask, seed=1, num_inference_steps=work.steps), work.seconds
        )


def diffusers_side(work: Work) -> list[float]:
    """Time fills by diffusers' pipeline, as it comes."""
    import torch
    from diffusers import StableDiffusionInpaintPipeline
    from PIL import Image

    pipe = StableDiffusionInpaintPipeline.from_pretrained(
        work.checkpoint, torch_dtype=torch.float32, safety_checker=None, requires_safety_checker=False
    )
    pipe.set_progress_bar_config(disable=True)
    image, mask = (Image.fromarray(one) for one in picture(work.side))
    asked = {"height": work.side, "width": work.side, "num_inference_steps": work.steps}
    return fills(lambda: pipe("a red apple", image=image, mask_image=mask, **asked), work.seconds)


def training_step(work: Work, *, processes: int = 1, gives_way: bool = True) -> Callable[[], None]:
    """Return a step of training a checkpoint's UNet, or this process's share of it."""
    import torch
    from diffusers import UNet2DConditionModel

    from retouch.engine.yielding import yielding

    unet = UNet2DConditionModel.from_pretrained(work.checkpoint, subfolder="unet").train()
    model = unet if processes == 1 else torch.nn.parallel.DistributedDataParallel(unet)
    optimiser = torch.optim.AdamW(unet.parameters(), fused=True)
    rows = TRAINED_ROWS // processes
    noisy = torch.randn(rows, unet.config.in_channels, TRAINED_CELLS, TRAINED_CELLS)
    timesteps = torch.full((rows,), 500)
    embeds = torch.randn(rows, 77, unet.config.cross_attention_dim)

    def step() -> None:
        with yielding() if gives_way else nullcontext():
            model(noisy, timesteps, embeds).sample.square().mean().backward()
            optimiser.step()
            optimiser.zero_grad()

    return step


def training_side(work: Work, *, gives_way: bool = True) -> list[float]:
    """Time steps of training a checkpoint's UNet, with workers that give way or with those that PyTorch has."""
    return fills(training_step(work, gives_way=gives_way), work.seconds)


def ranks_side(work: Work) -> list[float]:
    """Time the same steps over the same rows, shared by a process of one thread for each core."""
    with tempfile.TemporaryDirectory() as folder:
        meeting = f"file://{folder}/meeting"
        others = [
            subprocess.Popen([*child_command("rank", work), "--rank", str(rank), "--meeting", meeting])
            for rank in range(1, cores())
        ]
        try:
            return rank_side(work, 0, meeting)
        finally:
            for other in others:
                other.wait()


def rank_side(work: Work, rank: int, meeting: str) -> list[float]:
    """Take one process's share of the steps; the first one times them, and says when it is enough."""
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=cores())
    step, goes_on = training_step(work, processes=cores()), torch.ones(1)

    def together() -> bool:
        dist.broadcast(goes_on, 0)
        if is_going_on := bool(goes_on):
            step()
        return is_going_on

    times = fills(together, work.seconds) if rank == 0 else []
    goes_on.zero_()
    while together():
        pass
    dist.destroy_process_group()
    return times


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


CHILDREN: dict[str, Callable[[Work], list[float]]] = {
    "retouch": retouch_side,
    "diffusers": diffusers_side,
    "training": training_side,
    "training, a process a core": ranks_side,
    "training, PyTorch's workers": partial(training_side, gives_way=False),
}


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Run so many processes of one thread that never rest."""
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


def measure(child: str, source: Path, threads: int | None, work: Work) -> float:
    """Return the median seconds of a side's work in a process of its own."""
    env = {**os.environ, "PYTHONPATH": str(source)}
    if threads is not None:
        env["OMP_NUM_THREADS"] = str(threads)
    done = subprocess.run(child_command(child, work), check=True, stdout=subprocess.PIPE, env=env, text=True)
    return statistics.median(json.loads(done.stdout.splitlines()[-1]))


def child_command(child: str, work: Work) -> list[str]:
    """Return what runs a side in a process of its own."""
    command = [sys.executable, __file__, "--child", child, "--checkpoint", work.checkpoint]
    return [*command, "--side", str(work.side), "--steps", str(work.steps), "--seconds", str(work.seconds)]


def raise_priority(nice: int) -> None:
    """Let this process's group, or where there are none this process, come before others."""
    group = Path("/proc/self/autogroup")
    if group.exists():
        if os.getpgrp() != os.getpid():
            os.setsid()  # a group of its own
        group.write_text(str(nice), encoding="ascii")
    else:
        os.nice(nice)


def processor() -> str:
    """Return the processor's name."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def work_of(args: argparse.Namespace) -> Work:
    """Return what is timed."""
    return Work(str(args.checkpoint), args.side, args.steps, args.seconds)


def compare(args: argparse.Namespace) -> dict[str, Any]:
    """Run all sides in turns beside each number of busy processes."""
    own, name = ROOT / "src", "training" if args.training else "retouch"
    sides: dict[str, tuple[str, Path, int | None]] = {
        name: (name, own, None),
        f"{name}, one thread": (name, own, 1),
    }
    trained = ["training, a process a core", "training, PyTorch's workers"]
    for other in trained if args.training else ["diffusers"]:
        sides[other] = (other, own, None)
    if args.today is not None:
        sides["today"] = (name, args.today.resolve(), None)
    if unknown := set(args.sides or ()) - set(sides):
        raise SystemExit(f"no such side: {', '.join(sorted(unknown))} (there are: {', '.join(sides)})")
    if args.sides:
        sides = {name: sides[name] for name in args.sides}
    report: dict[str, Any] = {}
    for count in args.beside:
        runs: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(args.repeats):
            for name, (child, source, threads) in sides.items():
                with busy(count):
                    runs[name].append(measure(child, source, threads, work_of(args)))
                print(f"beside {count}: {name} {runs[name][-1]:.2f} s", file=sys.stderr)
        report[f"beside {count}"] = {
            name: {"median_s": statistics.median(t), "runs": t} for name, t in runs.items()
        }
    quiet = report.get("beside 0")
    for beside in report.values() if quiet else ():
        for name, side in beside.items():
            side["of_its_quiet_time"] = side["median_s"] / quiet[name]["median_s"]
            if "today" in beside:
                side["of_today"] = side["median_s"] / beside["today"]["median_s"]
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--today", type=Path)
    parser.add_argument("--training", action="store_true")
    parser.add_argument("--checkpoint", type=Path, default=POCKET)
    parser.add_argument("--side", type=int, default=256, help="of the picture, in pixels")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--beside", type=int, nargs="+", default=[0, 1, 3])
    parser.add_argument("--sides", nargs="+", help="some of them only, by the names that the report gives them")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--priority", type=int)
    parser.add_argument("--child", choices=[*CHILDREN, "rank"], help=argparse.SUPPRESS)
    parser.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--meeting", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child == "rank":
        rank_side(work_of(args), args.rank, args.meeting)
        return
    if args.child:
        print(json.dumps(CHILDREN[args.child](work_of(args))))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no busy process outlives this one
    if args.priority is not None:
        raise_priority(args.priority)
    load = Path("/proc/loadavg").read_text(encoding="ascii").split()[0]
    setting = {"processor": processor(), "cpus": os.cpu_count(), "load_before": float(load)}
    print(json.dumps({"setting": setting, "result": compare(args)}, indent=1))


if __name__ == "__main__":
    main()
