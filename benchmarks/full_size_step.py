"""One optimiser step of each phase of configs/sd15-inpainting.yaml at full model size, with random weights.

    python benchmarks/full_size_step.py --work-dir DIR [--size 128]

The UNet has all its 859,520,964 parameters; the VAE and the text encoder are of their real sizes too. Only the
sizes of the run are overridden: picture side, batch, steps. It needs about 18 GiB of memory in fp32 (weights,
gradients, two moments, average) and writes a 14 GiB checkpoint, which is removed at the end.
"""

import argparse
import json
import resource
import shutil
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image

from retouch.train.config import TrainConfig, load_config
from retouch.train.run import RunOptions, run_training
from retouch.train.text import write_tokenizer

VAE_CHANNELS = (128, 256, 512, 512)


def write_vae(folder: Path) -> None:
    """Stable Diffusion's VAE, with random weights."""
    vae = AutoencoderKL(
        block_out_channels=VAE_CHANNELS,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        latent_channels=4,
        sample_size=512,
        scaling_factor=0.18215,
    )
    vae.save_pretrained(folder)


def write_shard(folder: Path, size: int) -> None:
    """Two pictures with captions, as WebDataset has them."""
    import io
    import tarfile

    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    with tarfile.open(folder / "00000.tar", "w") as tar:
        for number in range(2):
            picture = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (size, size, 3), dtype=np.uint8)).save(picture, "PNG")
            for ending, content in (("png", picture.getvalue()), ("txt", b"a red apple")):
                info = tarfile.TarInfo(f"{number:09d}.{ending}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))


def make_config(work_dir: Path, size: int, precision: str) -> TrainConfig:
    sizes = {"steps": 1, "global_batch": 1, "micro_batch": 1}
    overrides: dict[str, object] = {
        "model.pretrained": None,
        "model.vae": str(work_dir / "vae"),
        "model.tokenizer": str(work_dir / "tokenizer"),
        "model.text": {"width": 768, "layers": 12, "heads": 12},
        "mixed_precision": precision,
        "log.publish": None,
        "log.keep": 1,
        "log.report_every_steps": 1,
        "log.tensorboard": False,
    }
    for phase in range(2):
        overrides |= {f"phases.{phase}.{key}": value for key, value in sizes.items()}
        overrides |= {f"phases.{phase}.data.folder": str(work_dir / "shards"), f"phases.{phase}.data.size": size}
    return load_config(Path(__file__).parents[1] / "configs" / "sd15-inpainting.yaml", overrides)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, required=True, help="an empty or new folder with 20 GiB of room")
    parser.add_argument("--size", type=int, default=128)
    arguments = parser.parse_args()
    folder = arguments.work_dir
    write_vae(folder / "vae")
    write_tokenizer(["a red apple"], folder / "tokenizer")
    write_shard(folder / "shards", arguments.size)
    has_cuda = torch.cuda.is_available()
    config = make_config(folder, arguments.size, "bf16" if has_cuda else "no")
    started = time.perf_counter()
    trainer = run_training(RunOptions(config=config, run_dir=folder / "run", cpu=not has_cuda))
    lines = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
    shutil.rmtree(folder / "run")
    report = {
        "parameters": sum(parameter.numel() for parameter in trainer.denoiser.unet.parameters()),
        "input_channels": trainer.denoiser.unet.config.in_channels,
        "new_channels_moved": bool(trainer.denoiser.unet.conv_in.weight[:, 4:].abs().max() > 0),
        "losses": [line["loss"] for line in lines if "loss" in line],
        "seconds": round(time.perf_counter() - started, 1),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 1),
        "device": torch.cuda.get_device_name() if has_cuda else "CPU",
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
