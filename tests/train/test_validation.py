"""The loss on held-out scenes."""

from pathlib import Path

from retouch.train.config import TrainConfig
from retouch.train.latents import LatentCache
from retouch.train.run import RunOptions, start
from retouch.train.validation import validation_losses


def test_validation_repeats_exactly_and_changes_with_the_weights(
    config: TrainConfig, cache_dir: Path, tmp_path: Path
) -> None:
    trainer, parts = start(RunOptions(config=config, run_dir=tmp_path, cpu=True))
    first, second = (validation_losses(trainer, LatentCache(cache_dir), rows=32) for _ in range(2))
    assert first == second
    assert first["val_loss"] > 0
    parts.unet.conv_out.weight.data.mul_(3.0)
    assert validation_losses(trainer, LatentCache(cache_dir), rows=32) != first
