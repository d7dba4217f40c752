"""Training from shards at scale: the reader, what a step waits for it, and a plain loop on the same shards.

    python -m benchmarks.train_shards flat                 # rows a second and memory, 10 to 10,000 shards
    python -m benchmarks.train_shards wait                 # share of a step that waits for pictures
    python -m benchmarks.train_shards compare [--cached]   # against a plain diffusers loop on the same shards

All data are made in a temporary folder. `compare` takes the steps of both loops in turns, so that a busy machine
slows both alike. Each command prints one JSON object.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from benchmarks.made_shards import write_shards
from benchmarks.plain_loop import SIZE, PlainLoop
from transformers import CLIPTokenizer

from retouch.data.shard_index import FOLDER, open_index
from retouch.train.config import TrainConfig
from retouch.train.latents import LatentSpec, build_latents
from retouch.train.loop import Run, Trainer
from retouch.train.pictures import ShardPictures
from retouch.train.run import RunOptions, start
from retouch.train.sources import Sources

POCKET = Path(__file__).parents[1] / "src" / "retouch" / "models" / "pocket"
WARMUP = 3


def resident_mib() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) / 1024


def flat(args: argparse.Namespace, folder: Path) -> list[dict[str, float]]:
    """Read through one process from more and more shards."""
    found = []
    for shards in (10, 100, 1000, 10_000):
        data = write_shards(folder / str(shards), shards, each=args.each, side=64)
        began = time.perf_counter()
        open_index(str(data))
        indexed = time.perf_counter()
        reader = ShardPictures(open_index(str(data)), size=64, full_mask_rate=0.25)
        opened, worked = time.perf_counter(), time.process_time()
        for number in range(args.rows):
            reader.read(number)
        worked = time.process_time() - worked  # by the core's time: others may be at work, too
        found.append(
            {
                "shards": shards,
                "samples": shards * args.each,
                "index_ms_a_shard": round((indexed - began) / shards * 1e3, 2),
                "index_mib": round(sum(file.stat().st_size for file in (data / FOLDER).iterdir()) / 2**20, 1),
                "open_again_s": round(opened - indexed, 3),
                "rows_per_core_s": round(args.rows / worked, 1),
                "memory_mib": round(resident_mib()),
            }
        )
    return found


def recipe(data: dict[str, Any], args: argparse.Namespace, unet: dict[str, Any] | None = None) -> TrainConfig:
    """One plain phase of inpainting: the embedded model, or a smaller UNet in its place."""
    model: dict[str, Any] = {"pretrained": str(POCKET), "prediction_type": "v_prediction"}
    if unet is not None:
        parts = {"vae": str(POCKET / "vae"), "tokenizer": str(POCKET / "tokenizer")}
        model = {"unet": unet, "prediction_type": "v_prediction", **parts}
        model["text"] = {"pretrained": str(POCKET / "text_encoder")}
    phase = {"name": "inpaint", "task": "inpaint", "data": data, "steps": 10_000, "learning_rate": 1e-4}
    phase |= {"global_batch": args.batch, "micro_batch": args.batch}
    return TrainConfig.model_validate(
        {"name": "bench", "model": model, "phases": [phase], "mixed_precision": args.precision}
    )


def prepared(config: TrainConfig, folder: Path) -> tuple[Trainer, Run]:
    trainer, parts = start(RunOptions(config=config, run_dir=folder / "none", cpu=not torch.cuda.is_available()))
    sources = Sources(config, parts, trainer.accelerator)
    return trainer, trainer._start_phase(sources.open(trainer))


SMALLEST = {
    "sample_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": [8, 16],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "attention_head_dim": 2,
    "cross_attention_dim": 192,
}


def wait(args: argparse.Namespace, folder: Path) -> dict[str, dict[str, float]]:
    """Take steps of a UNet that costs next to nothing, and of the embedded model's."""
    write_shards(folder / "shards", 40, each=50, side=SIZE)
    data = {"kind": "shards", "folder": str(folder / "shards"), "size": SIZE, "workers": args.workers}
    found = {}
    for name, unet in (("smallest", SMALLEST), ("pocket", None)):
        trainer, run = prepared(recipe(data, args, unet), folder)
        seconds, waited = [], []
        for _ in range(WARMUP + args.steps):
            began = time.perf_counter()
            values = trainer._step(run)
            float(values["loss"])
            seconds.append(time.perf_counter() - began)
            waited.append(float(values["data_wait_s"]))
        found[name] = {
            "step_ms": round(statistics.median(seconds[WARMUP:]) * 1e3, 1),
            "waits_percent": round(100 * sum(waited[WARMUP:]) / sum(seconds[WARMUP:]), 2),
        }
        trainer.accelerator.free_memory()
    return found


def compare(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Step both loops in turns, on the same shards and from the same weights."""
    shards = write_shards(folder / "shards", 20, each=50, side=SIZE)
    data: dict[str, Any] = {"kind": "shards", "folder": str(shards), "size": SIZE, "workers": args.workers}
    cache_s = 0.0
    if args.cached:
        began = time.perf_counter()
        parts = POCKET / "vae", POCKET / "tokenizer"
        spec = LatentSpec(shards, *parts, folder / "latents", slots=args.slots, size=SIZE, kind="shards")
        build_latents(spec, CLIPTokenizer.from_pretrained(POCKET / "tokenizer"))
        cache_s = time.perf_counter() - began
        data = {"kind": "latents", "folder": str(folder / "latents"), "size": SIZE}
    torch.manual_seed(0)
    trainer, run = prepared(recipe(data, args), folder)
    plain = PlainLoop(POCKET, shards, args)
    steps = {"retouch": lambda: float(trainer._step(run)["loss"]), "diffusers": plain.step}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    losses: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(WARMUP + args.steps):
        for name, step in steps.items():
            began = time.perf_counter()
            losses[name].append(step())
            seconds[name].append(time.perf_counter() - began)
    half = (WARMUP + args.steps) // 2
    return {
        "rows_per_s": {name: round(args.batch / statistics.median(s[WARMUP:]), 2) for name, s in seconds.items()},
        "speedup": round(
            statistics.median(b / a for a, b in zip(*(s[WARMUP:] for s in seconds.values()), strict=True)), 2
        ),
        "loss_by_half": {
            name: [round(statistics.mean(part), 4) for part in (found[:half], found[half:])]
            for name, found in losses.items()
        },
        "cached": args.cached,
        "cache_s": round(cache_s, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["flat", "wait", "compare"])
    parser.add_argument("--each", type=int, default=8, help="samples of a shard of `flat`")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--precision", default="no", choices=["no", "bf16"])
    parser.add_argument("--slots", type=int, default=1024, help="rows of the cache")
    parser.add_argument("--cached", action="store_true", help="read a latent cache of the shards")
    args = parser.parse_args()
    commands = {"flat": flat, "wait": wait, "compare": compare}
    with tempfile.TemporaryDirectory() as folder:
        result = commands[args.command](args, Path(folder))
    device = (
        torch.cuda.get_device_name() if torch.cuda.is_available() else f"{torch.get_num_threads()} CPU threads"
    )
    print(json.dumps({args.command: result, "device": device, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
