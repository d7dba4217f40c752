"""Training from shards at scale: the reader, what a step waits for it, a plain loop, and a cluster's needs.

    python benchmarks/train_shards.py flat                 # rows a second and memory, 10 to 10,000 shards
    python benchmarks/train_shards.py wait                 # share of a step that waits for pictures
    python benchmarks/train_shards.py compare [--cached]   # against a plain diffusers loop on the same shards
    python benchmarks/train_shards.py needs                # what 1, 8 and 64 GPUs need for the card's recipe

All data are made in a temporary folder. `compare` takes the steps of both loops in turns, so that a busy machine
slows both alike. Each command prints one JSON object.
"""

import argparse
import io
import json
import statistics
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset

from retouch.data.shard_index import FOLDER, open_index
from retouch.train.config import TrainConfig
from retouch.train.latents import LatentSpec, build_latents
from retouch.train.loop import Run, Trainer
from retouch.train.pictures import ShardPictures, draw_mask
from retouch.train.run import RunOptions, start
from retouch.train.sources import Sources

POCKET = Path(__file__).parents[1] / "src" / "retouch" / "models" / "pocket"
SIZE = 128
WARMUP = 3


def smooth_picture(rng: np.random.Generator, side: int) -> Image.Image:
    """Soft patches of colour with a little noise: it compresses about as a photograph does."""
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize((side * 4 // 3, side), Image.Resampling.BICUBIC), np.int16)
    return Image.fromarray(np.clip(pixels + rng.normal(0, 6, pixels.shape), 0, 255).astype(np.uint8))


def write_shards(folder: Path, shards: int, *, each: int, side: int, seed: int = 0) -> Path:
    """Write so many shards of `each` samples; pictures repeat, crops of them do not."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    pictures = []
    for _ in range(64):
        buffer = io.BytesIO()
        smooth_picture(rng, side).save(buffer, "JPEG", quality=90)
        pictures.append(buffer.getvalue())
    for shard in range(shards):
        with tarfile.open(folder / f"{shard:05d}.tar", "w") as tar:
            for number in range(each):
                picture = pictures[int(rng.integers(len(pictures)))]
                for ending, content in (("jpg", picture), ("txt", b"a red apple")):
                    info = tarfile.TarInfo(f"{number:09d}.{ending}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
    return folder


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
        opened = time.perf_counter()
        for number in range(args.rows):
            reader.read(number)
        read = time.perf_counter()
        found.append(
            {
                "shards": shards,
                "samples": shards * args.each,
                "index_ms_a_shard": round((indexed - began) / shards * 1e3, 2),
                "index_mib": round(sum(file.stat().st_size for file in (data / FOLDER).iterdir()) / 2**20, 1),
                "open_again_s": round(opened - indexed, 3),
                "rows_per_s": round(args.rows / (read - opened), 1),
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
    sources = Sources(config, parts.vae, parts.tokenizer, trainer.accelerator)
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


class StreamedShards(IterableDataset[tuple[torch.Tensor, torch.Tensor, str]]):
    """Shards as a loop without an index has them: from front to end, each worker its own, again and again."""

    def __init__(self, folder: Path) -> None:
        self._shards = sorted(folder.glob("*.tar"))

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, str]]:
        info = torch.utils.data.get_worker_info()
        mine = self._shards if info is None else self._shards[info.id :: info.num_workers]
        rng = np.random.default_rng(0 if info is None else info.id)
        while True:
            for shard in mine:
                yield from self._samples(shard, rng)

    def _samples(self, shard: Path, rng: np.random.Generator) -> Iterator[tuple[torch.Tensor, torch.Tensor, str]]:
        with tarfile.open(shard) as tar:
            for member in tar:
                content = tar.extractfile(member)
                assert content is not None
                if member.name.endswith(".jpg"):
                    image = Image.open(content).convert("RGB")
                    left = int(rng.integers(image.width - image.height + 1))
                    box = (left, 0, left + image.height, image.height)
                    square = image.resize((SIZE, SIZE), Image.Resampling.LANCZOS, box=box)
                    pixels = torch.from_numpy(np.asarray(square).copy()).permute(2, 0, 1).float() / 127.5 - 1.0
                else:
                    mask = torch.from_numpy(draw_mask(rng, SIZE, full_rate=0.25))[None].float()
                    yield pixels, mask, content.read().decode()


class PlainLoop:
    """What diffusers' training examples do, put to inpainting: everything in each step, default layouts."""

    def __init__(self, folder: Path, args: argparse.Namespace) -> None:
        from diffusers import StableDiffusionInpaintPipeline, UNet2DConditionModel
        from diffusers.training_utils import EMAModel

        pipeline = StableDiffusionInpaintPipeline.from_pretrained(POCKET, torch_dtype=torch.float32)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.unet = pipeline.unet.to(self.device).train()
        self.vae, self.text = (part.to(self.device).eval() for part in (pipeline.vae, pipeline.text_encoder))
        self.tokenizer = pipeline.tokenizer
        self.schedule = __import__("diffusers").DDPMScheduler.from_config(pipeline.scheduler.config)
        self.optimiser = torch.optim.AdamW(self.unet.parameters(), lr=1e-4, weight_decay=0.01)
        self.ema = EMAModel(self.unet.parameters(), model_cls=UNet2DConditionModel, model_config=self.unet.config)
        self.precision = args.precision
        loader = DataLoader(StreamedShards(folder), batch_size=args.batch, num_workers=args.workers)
        self.batches = iter(loader)

    def step(self) -> float:
        pixels, mask, captions = next(self.batches)
        pixels, mask = pixels.to(self.device), mask.to(self.device)
        with torch.autocast(self.device, torch.bfloat16, enabled=self.precision == "bf16"):
            with torch.no_grad():
                latents, hidden = (self._encode(x) for x in (pixels, pixels * (mask < 0.5)))
                captions = ["" if torch.rand(()) < 0.1 else caption for caption in captions]
                tokens = self.tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt")
                embeds = self.text(tokens.input_ids.to(self.device))[0]
            noise = torch.randn_like(latents)
            timesteps = torch.randint(0, 1000, (len(latents),), device=self.device)
            noisy = self.schedule.add_noise(latents, noise, timesteps)
            hole = F.interpolate(mask, size=latents.shape[-2:])
            prediction = self.unet(torch.cat([noisy, hole, hidden], dim=1), timesteps, embeds).sample
        target = self.schedule.get_velocity(latents, noise, timesteps)
        loss = F.mse_loss(prediction.float(), target.float())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.unet.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.ema.step(self.unet.parameters())
        return loss.item()

    def _encode(self, pixels: torch.Tensor) -> torch.Tensor:
        latents: torch.Tensor = self.vae.encode(pixels).latent_dist.sample() * self.vae.config.scaling_factor
        return latents


def compare(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Step both loops in turns, on the same shards and from the same weights."""
    shards = write_shards(folder / "shards", 20, each=50, side=SIZE)
    data: dict[str, Any] = {"kind": "shards", "folder": str(shards), "size": SIZE, "workers": args.workers}
    cache_s = 0.0
    if args.cached:
        began = time.perf_counter()
        spec = LatentSpec(
            shards, POCKET / "vae", POCKET / "tokenizer", folder / "latents", slots=1000, size=SIZE, kind="shards"
        )
        from transformers import CLIPTokenizer

        build_latents(spec, CLIPTokenizer.from_pretrained(POCKET / "tokenizer"))
        cache_s = time.perf_counter() - began
        data = {"kind": "latents", "folder": str(folder / "latents"), "size": SIZE}
    torch.manual_seed(0)
    trainer, run = prepared(recipe(data, args), folder)
    plain = PlainLoop(shards, args)
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


def flops_a_row() -> dict[str, float]:
    """TFLOP of one row at 512x512, counted on tensors without content: forward passes of each part."""
    import yaml
    from benchmarks.full_size_step import VAE_CHANNELS
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import CLIPTextConfig, CLIPTextModel

    card = yaml.safe_load((Path(__file__).parents[1] / "configs" / "sd15-inpainting.yaml").read_text("utf-8"))
    with torch.device("meta"):
        unet = UNet2DConditionModel(**card["model"]["unet"] | {"in_channels": 9})
        vae = AutoencoderKL(
            block_out_channels=VAE_CHANNELS, down_block_types=("DownEncoderBlock2D",) * 4, layers_per_block=2
        )
        text = CLIPTextModel(
            CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
        )
        calls = {
            "unet": lambda: unet(torch.empty(1, 9, 64, 64), torch.zeros(1), torch.empty(1, 77, 768)),
            "encode": lambda: vae.encoder(torch.empty(1, 3, 512, 512)),
            "text": lambda: text(torch.zeros(1, 77, dtype=torch.long)),
        }
        found = {}
        for name, call in calls.items():
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                call()
            found[name] = counter.get_total_flops() / 1e12
    return found


def photographs(folder: Path) -> float:
    """Write photographs of 512 pixels as img2dataset does (JPEG, quality 95); return their mean size in bytes."""
    from skimage import data

    folder.mkdir()
    sizes = []
    with tarfile.open(folder / "00000.tar", "w") as tar:
        for number, name in enumerate(("astronaut", "coffee", "chelsea", "rocket") * 8):
            image = Image.fromarray(getattr(data, name)())
            scale = 512 / min(image.size)
            image = image.resize((round(image.width * scale), round(image.height * scale)))
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=95)
            sizes.append(buffer.tell())
            for ending, content in (("jpg", buffer.getvalue()), ("txt", name.encode())):
                info = tarfile.TarInfo(f"{number:09d}.{ending}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return statistics.mean(sizes)


def needs(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Count a row's work, measure the reader on one core, and divide."""
    size_bytes = photographs(folder / "photographs")
    reader = ShardPictures(open_index(str(folder / "photographs")), size=512, full_mask_rate=0.25)
    began = time.process_time()
    for number in range(args.rows):
        reader.read(number)
    read_ms = (time.process_time() - began) / args.rows * 1e3
    parts = flops_a_row()
    # Forward, backward (twice the forward), and the forward once more for gradient checkpointing. A text-to-image
    # row encodes one picture; an inpainting row two, but the second only where its mask leaves something to see.
    row = {
        "regular": 4 * parts["unet"] + parts["encode"] + parts["text"],
        "inpainting": 4 * parts["unet"] + 1.75 * parts["encode"] + parts["text"],
    }
    rows = {"regular": 595_000 * 2048, "inpainting": 440_000 * 2048}
    table = []
    for gpus in (1, 8, 64):
        rate = gpus * args.tflops * 1e12 * args.utilisation / (row["inpainting"] * 1e12)
        hours = {name: rows[name] * row[name] / (gpus * args.tflops * args.utilisation * 3600) for name in rows}
        table.append(
            {
                "gpus": gpus,
                "rows_per_s": round(rate),
                "reader_cores": round(rate * read_ms / 1e3, 1),
                "mb_per_s": round(rate * size_bytes / 1e6, 1),
                "regular_hours": round(hours["regular"]),
                "inpainting_hours": round(hours["inpainting"]),
            }
        )
    return {
        "tflop_forward": {name: round(value, 3) for name, value in parts.items()},
        "tflop_a_row": {name: round(value, 2) for name, value in row.items()},
        "read_ms_a_core": round(read_ms, 1),
        "kb_a_picture": round(size_bytes / 1e3),
        "assumed": {"tflops": args.tflops, "utilisation": args.utilisation},
        "table": table,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["flat", "wait", "compare", "needs"])
    parser.add_argument("--each", type=int, default=8, help="samples of a shard of `flat`")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--precision", default="no", choices=["no", "bf16"])
    parser.add_argument("--cached", action="store_true", help="read a latent cache of the shards")
    parser.add_argument("--tflops", type=float, default=989.0, help="of a GPU; dense bf16 of an H100 SXM")
    parser.add_argument("--utilisation", type=float, default=0.4)
    args = parser.parse_args()
    commands = {"flat": flat, "wait": wait, "compare": compare, "needs": needs}
    with tempfile.TemporaryDirectory() as folder:
        result = commands[args.command](args, Path(folder))
    device = (
        torch.cuda.get_device_name() if torch.cuda.is_available() else f"{torch.get_num_threads()} CPU threads"
    )
    print(json.dumps({args.command: result, "device": device, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
