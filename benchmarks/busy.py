"""Times a fill of the embedded model alone and beside busy processes, each side in a process of its own.

    python benchmarks/busy.py [--today FOLDER/src] [--repeats 3] [--beside 0 1 3] [--priority -19]

Sides: retouch as it is; the same with one thread; an earlier state of it (`--today`, the `src` folder of another
checkout), which is what the goals refer to; diffusers' pipeline. They run in turns beside so many processes that
count and do nothing else; each gives the median of its fills but the first, for as long as `--seconds`. With
`--priority` this process, and so everything that it starts, comes before the machine's other work (root only):
where the kernel groups processes by session, a nice value counts within one group only, so it is the group's.
"""

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SIDE, STEPS = 256, 20


def fills(run: Callable[[], object], seconds: float) -> list[float]:
    """Return the times of fills, the first left out, until `seconds` are over; two at least."""
    run()
    times: list[float] = []
    while len(times) < 2 or sum(times) < seconds:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return times


def picture() -> tuple[Any, Any]:
    """Return a picture (128, 128, 3) and a mask of its middle."""
    import numpy as np

    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[SIDE // 4 : -SIDE // 4, SIDE // 4 : -SIDE // 4] = 255
    return np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8), mask


def retouch_side(seconds: float) -> list[float]:
    """Time fills by retouch, from the sources that are on the path."""
    from retouch.inpainter import Inpainter

    image, mask = picture()
    with Inpainter.load() as inpainter:
        return fills(lambda: inpainter("a red apple", image, mask, seed=1, num_inference_steps=STEPS), seconds)


def diffusers_side(seconds: float) -> list[float]:
    """Time fills by diffusers' pipeline, as it comes."""
    import torch
    from diffusers import StableDiffusionInpaintPipeline
    from PIL import Image

    pipe = StableDiffusionInpaintPipeline.from_pretrained(
        ROOT / "src/retouch/models/pocket",
        torch_dtype=torch.float32,
        safety_checker=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    image, mask = (Image.fromarray(one) for one in picture())
    return fills(
        lambda: pipe(
            "a red apple", image=image, mask_image=mask, height=SIDE, width=SIDE, num_inference_steps=STEPS
        ),
        seconds,
    )


CHILDREN = {"retouch": retouch_side, "diffusers": diffusers_side}


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


def measure(child: str, source: Path, threads: int | None, seconds: float) -> float:
    """Return the median seconds of a fill in a process of its own."""
    env = {**os.environ, "PYTHONPATH": str(source)}
    if threads is not None:
        env["OMP_NUM_THREADS"] = str(threads)
    command = [sys.executable, __file__, "--child", child, "--seconds", str(seconds)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=env, text=True)
    return statistics.median(json.loads(done.stdout.splitlines()[-1]))


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


def compare(args: argparse.Namespace) -> dict[str, Any]:
    """Run all sides in turns beside each number of busy processes."""
    own = ROOT / "src"
    sides = {
        "retouch": ("retouch", own, None),
        "retouch, one thread": ("retouch", own, 1),
        "diffusers": ("diffusers", own, None),
    }
    if args.today is not None:
        sides["today"] = ("retouch", args.today.resolve(), None)
    report: dict[str, Any] = {}
    for count in args.beside:
        runs: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(args.repeats):
            for name, (child, source, threads) in sides.items():
                with busy(count):
                    runs[name].append(measure(child, source, threads, args.seconds))
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
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--beside", type=int, nargs="+", default=[0, 1, 3])
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--priority", type=int)
    parser.add_argument("--child", choices=CHILDREN, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(CHILDREN[args.child](args.seconds)))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no busy process outlives this one
    if args.priority is not None:
        raise_priority(args.priority)
    load = Path("/proc/loadavg").read_text(encoding="ascii").split()[0]
    setting = {"processor": processor(), "cpus": os.cpu_count(), "load_before": float(load)}
    print(json.dumps({"setting": setting, "result": compare(args)}, indent=1))


if __name__ == "__main__":
    main()
