"""A run of one plain phase of inpainting, ready to take steps: what the benchmarks of training time."""

import argparse
from pathlib import Path
from typing import Any

import torch

from retouch.train.config import TrainConfig
from retouch.train.loop import Run, Trainer
from retouch.train.run import RunOptions, start
from retouch.train.sources import Sources

POCKET = Path(__file__).parents[1] / "src" / "retouch" / "models" / "pocket"
SIZE = 128


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
