"""What the card's recipe needs on 1, 8 and 64 GPUs: hours, and what the readers of pictures have to give.

    python -m benchmarks.train_needs

A row's work is counted on the card's own models, without weights; the reader is measured on one core, on
photographs of 512 pixels. A GPU's speed and the share of it that is used are assumptions, and options.
"""

import argparse
import io
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import yaml
from benchmarks.full_size_step import VAE_CHANNELS
from benchmarks.made_shards import write_shard
from diffusers import AutoencoderKL, UNet2DConditionModel
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPTextConfig, CLIPTextModel

from retouch.data.shard_index import open_index
from retouch.train.pictures import ShardPictures

CARD = Path(__file__).parents[1] / "configs" / "sd15-inpainting.yaml"


def flops_a_row() -> dict[str, float]:
    """TFLOP of one row at 512x512, counted on tensors without content: forward passes of each part."""
    card = yaml.safe_load(CARD.read_text("utf-8"))
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
    pictures = []
    for name in ("astronaut", "coffee", "chelsea", "rocket"):
        image = Image.fromarray(getattr(data, name)())
        scale = 512 / min(image.size)
        image = image.resize((round(image.width * scale), round(image.height * scale)))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=95)
        pictures.append(buffer.getvalue())
    write_shard(folder / "00000.tar", pictures)
    return statistics.mean(map(len, pictures))


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
    parser.add_argument("--rows", type=int, default=200, help="pictures that the reader is measured on")
    parser.add_argument("--tflops", type=float, default=989.0, help="of a GPU; dense bf16 of an H100 SXM")
    parser.add_argument("--utilisation", type=float, default=0.4)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(needs(args, Path(folder)), indent=1))


if __name__ == "__main__":
    main()
