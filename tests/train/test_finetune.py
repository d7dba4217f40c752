"""Fine-tuning on a folder of pictures, from the checkpoint to a result."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionInpaintPipeline
from PIL import Image
from tests.factories import make_checkpoint
from tests.train.photographs import photograph, write_photographs

from retouch.inpainter import Inpainter
from retouch.models.components import read_notes
from retouch.models.load import load_model
from retouch.models.options import LoadOptions
from retouch.train.config import load_config
from retouch.train.held_out import HeldOut
from retouch.train.run import RunOptions, run_training, start

CONFIG = Path(__file__).parents[2] / "configs" / "finetune-photographs.yaml"
FULL = {"model.lora": None, "phases.0.learning_rate": 3e-4}


def overrides(base: str | Path, folder: Path, out: Path, **more: Any) -> dict[str, Any]:
    return {
        "model.pretrained": str(base),
        "model.gradient_checkpointing": False,
        "mixed_precision": "no",
        "phases.0.data.folder": str(folder),
        "phases.0.data.pictures.cache": str(out / "cache"),
        "phases.0.data.pictures.crops": 2,
        "phases.0.warmup_steps": 5,
        "log.publish": str(out / "latest"),
        "log.tensorboard": False,
        **{key.replace("__", "."): value for key, value in more.items()},
    }


def losses(run_dir: Path, name: str) -> list[float]:
    lines = [json.loads(line) for line in (run_dir / "log.jsonl").read_text().splitlines()]
    return [line[name] for line in lines if name in line]


def test_a_run_on_a_folder_validates_draws_exports_and_resumes_exactly(tmp_path: Path) -> None:
    base = make_checkpoint(tmp_path / "base")
    folder = write_photographs(tmp_path / "photographs", 6)
    settings = overrides(
        base, folder, tmp_path, phases__0__steps=4, log__samples_every_s=0.0, log__report_every_steps=1
    )
    settings["model.lora.rank"] = 2
    config = load_config(CONFIG, settings)
    whole = run_training(RunOptions(config, tmp_path / "whole", cpu=True))
    assert len(losses(tmp_path / "whole", "loss")) == 4
    assert losses(tmp_path / "whole", "val_loss")
    (grid,) = (tmp_path / "whole" / "samples").glob("*.png")
    assert Image.open(grid).width > Image.open(grid).height
    plain = load_config(CONFIG, settings | {"log.samples_every_s": 1e9, "log.publish": None})
    run_training(RunOptions(plain, tmp_path / "parts", cpu=True, max_steps=2))
    resumed = run_training(RunOptions(plain, tmp_path / "parts", cpu=True))
    for name, weight in whole.denoiser.state_dict().items():
        assert torch.equal(resumed.denoiser.state_dict()[name], weight), name
    assert load_model(tmp_path / "latest", LoadOptions(device="cpu")).prediction_type == "epsilon"


@pytest.mark.parametrize("lora", [None, {"rank": 2}])
def test_a_four_channel_v_prediction_checkpoint_becomes_an_inpainting_one(
    tmp_path: Path, lora: dict[str, Any] | None
) -> None:
    base = make_checkpoint(tmp_path / "base", in_channels=4, prediction_type="v_prediction", scheduler="Euler")
    folder = write_photographs(tmp_path / "photographs", 3)
    settings = overrides(base, folder, tmp_path, phases__0__steps=2, log__report_every_steps=1)
    run_training(RunOptions(load_config(CONFIG, settings | {"model.lora": lora}), tmp_path / "run", cpu=True))
    bundle = load_model(tmp_path / "latest", LoadOptions(device="cpu"))
    assert (bundle.kind, bundle.prediction_type) == ("concat", "v_prediction")
    assert bundle.scheduler_class == "EulerDiscreteScheduler"
    assert bundle.unet.conv_in.weight[:, 4:].abs().max() > 0


@pytest.mark.slow
@pytest.mark.parametrize("way", ["lora", "full"])
@pytest.mark.parametrize("base", ["pocket", "epsilon"])
def test_the_loss_falls_and_the_export_paints_here_and_in_diffusers(base: str, way: str, tmp_path: Path) -> None:
    kind = "v_prediction" if base == "pocket" else "epsilon"
    origin = base if base == "pocket" else make_checkpoint(tmp_path / "base", scheduler="PNDM")
    folder = write_photographs(tmp_path / "photographs", 10)
    settings = overrides(origin, folder, tmp_path, phases__0__steps=30, log__samples_every_s=1e9)
    settings |= FULL if way == "full" else {}
    settings |= {"phases.0.data.size": 128} if base == "pocket" else {"phases.0.learning_rate": 3e-3}
    config = load_config(CONFIG, settings)
    trainer, parts = start(RunOptions(config, tmp_path / "before", cpu=True))
    before = HeldOut(parts, torch.device("cpu")).losses(trainer)["val_loss"]
    run_training(RunOptions(config, tmp_path / "run", cpu=True))
    after = losses(tmp_path / "run", "val_loss")[-1]
    assert after < before
    if base == "pocket":
        # Measured as if it predicted the noise, a v-prediction model is above 1.
        assert before < 0.5

    out = tmp_path / "latest"
    assert (out / "lora").exists() == (way == "lora")
    bundle = load_model(out, LoadOptions(device="cpu"))
    assert bundle.prediction_type == kind
    released = load_model(origin, LoadOptions(device="cpu"))
    assert bundle.scheduler_config == released.scheduler_config
    assert read_notes(out).recommended == replace(released.recommended, variants=())

    side = min(bundle.native_size, 128)
    picture, mask = photograph(99, (side, side)), Image.new("L", (side, side), 0)
    mask.paste(255, (side // 4, side // 4, side * 3 // 4, side * 3 // 4))
    stock = StableDiffusionInpaintPipeline.from_pretrained(out)
    settings = {"num_inference_steps": 4, "guidance_scale": 2.0}
    theirs = stock(
        "a red hat", picture, mask, height=side, width=side, generator=torch.Generator().manual_seed(3), **settings
    ).images[0]
    with Inpainter.load(out) as inpainter:
        ours = inpainter("a red hat", picture, mask, seed=3, reference=True, **settings).image
    hole = np.asarray(mask) > 0
    difference = np.abs(np.asarray(ours).astype(int) - np.asarray(theirs).astype(int))[hole]
    assert difference.max() <= 2


@pytest.mark.slow
def test_the_command_line_says_what_is_wrong_with_a_folder(tmp_path: Path) -> None:
    folder = write_photographs(tmp_path / "photographs", 2, caption=None)
    command = [sys.executable, "-m", "retouch.cli", "train", "run", str(CONFIG), "--run-dir", "run", "--cpu"]
    for key, value in {"model.pretrained": "pocket", "phases.0.data.folder": folder}.items():
        command += ["--set", f"{key}={value}"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert "00.jpg" in done.stderr
    assert "caption" in done.stderr
