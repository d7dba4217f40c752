"""Training from shards at scale: the reader, and what a step waits for it.

    python -m benchmarks.train_shards flat                 # rows a second and memory, 10 to 10,000 shards
    python -m benchmarks.train_shards wait                 # share of a step that waits for pictures

All data are made in a temporary folder. Each command prints one JSON object.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import torch
from benchmarks.made_shards import write_shards
from benchmarks.one_phase import SIZE, prepared, recipe

from retouch.data.shard_index import FOLDER, open_index
from retouch.train.pictures import ShardPictures

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["flat", "wait"])
    parser.add_argument("--each", type=int, default=8, help="samples of a shard of `flat`")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--precision", default="no", choices=["no", "bf16"])
    args = parser.parse_args()
    commands = {"flat": flat, "wait": wait}
    with tempfile.TemporaryDirectory() as folder:
        result = commands[args.command](args, Path(folder))
    device = (
        torch.cuda.get_device_name() if torch.cuda.is_available() else f"{torch.get_num_threads()} CPU threads"
    )
    print(json.dumps({args.command: result, "device": device, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
