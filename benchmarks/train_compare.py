"""Rows a second of training against a plain diffusers loop: same weights, pictures and objective, in one run.

    python -m benchmarks.train_compare --data shards [--cached]     # or --data folder: always encoded once
    torchrun --standalone --nproc-per-node 2 -m benchmarks.train_compare --data folder   # a process a core

The plain loop is what diffusers' training examples do, put to inpainting: the VAE and the text encoder in each
step, AdamW, gradient clipping, EMAModel, the default memory layout, one process of all threads. Both loops take
their steps in turns, so that a busy machine slows both alike; their losses, half by half, say whether they learn
the same. Pictures are made in a temporary folder; what was done before the first step stands apart (`before_s`).
Prints one JSON object.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from benchmarks.made_shards import MANY, write_photographs, write_shards
from benchmarks.one_phase import POCKET, SIZE, prepared, recipe
from benchmarks.plain_loop import PlainLoop
from transformers import CLIPTokenizer

from retouch.train.cache_facts import LatentSpec
from retouch.train.latents import build_latents

WARMUP = 3
RANK, PROCESSES = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def examples(args: argparse.Namespace, folder: Path) -> tuple[Path, dict[str, Any]]:
    """Make the pictures; return where they are, and how our recipe names them."""
    if args.data == "folder":
        pictures = write_photographs(folder / "pictures", 500, side=SIZE, captions=args.captions)
        return pictures, {"kind": "folder", "folder": str(pictures), "size": SIZE}
    pictures = write_shards(folder / "pictures", 20, each=50, side=SIZE, captions=args.captions)
    if not args.cached:
        return pictures, {"kind": "shards", "folder": str(pictures), "size": SIZE, "workers": args.workers}
    parts = POCKET / "vae", POCKET / "tokenizer"
    spec = LatentSpec(pictures, *parts, folder / "latents", slots=args.slots, size=SIZE, kind="shards")
    build_latents(spec, CLIPTokenizer.from_pretrained(POCKET / "tokenizer"))
    return pictures, {"kind": "latents", "folder": str(folder / "latents"), "size": SIZE}


def compare(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Step both loops in turns; the first process takes the plain loop's steps, and the others wait meanwhile."""
    threads = torch.get_num_threads() if PROCESSES == 1 else os.cpu_count() or 1
    began = time.perf_counter()
    pictures, data = examples(args, folder)
    torch.manual_seed(0)
    trainer, run = prepared(recipe(data, args), folder)
    before_s = time.perf_counter() - began
    steps: dict[str, tuple[int, Callable[[], float]]] = {
        "retouch": (max(1, threads // PROCESSES), lambda: float(trainer._step(run)["loss"]))
    }
    if RANK == 0:
        steps["diffusers"] = threads, PlainLoop(POCKET, pictures, args).step
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    losses: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(WARMUP + args.steps):
        for name, (count, step) in steps.items():
            if PROCESSES > 1:
                torch.set_num_threads(count)
            began = time.perf_counter()
            losses[name].append(step())
            seconds[name].append(time.perf_counter() - began)
        trainer.accelerator.wait_for_everyone()
    counted = {name: found[WARMUP:] for name, found in seconds.items()}
    pairs = zip(counted["retouch"], counted.get("diffusers", counted["retouch"]), strict=True)
    return {
        "rows_per_s": {name: round(args.batch / statistics.median(s), 2) for name, s in counted.items()},
        "speedup": round(statistics.median(plain / ours for ours, plain in pairs), 2),
        "loss_by_half": {name: halves(found) for name, found in losses.items()},
        "before_s": round(before_s, 1),
    }


def halves(losses: list[float]) -> list[float]:
    half = len(losses) // 2
    return [round(statistics.mean(part), 4) for part in (losses[:half], losses[half:])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="shards", choices=["shards", "folder"])
    parser.add_argument("--cached", action="store_true", help="read a latent cache of the shards")
    parser.add_argument("--slots", type=int, default=1024, help="rows of the cache")
    parser.add_argument(
        "--captions",
        type=int,
        default=MANY,
        help="that differ; 1 is what a run sees whose captions it has read before",
    )
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1, help="processes that read, of either loop")
    parser.add_argument("--precision", default="no", choices=["no", "bf16"])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = compare(args, Path(folder))
    if RANK == 0:
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{os.cpu_count()} CPU cores"
        made = {"processes": PROCESSES, "device": device, "torch": torch.__version__}
        print(json.dumps({**vars(args), **made, **result}))


if __name__ == "__main__":
    main()
