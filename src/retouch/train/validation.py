"""The loss on a fixed cache of held-out scenes, with fixed noise."""

from pathlib import Path

import torch

from retouch.train.latents import LatentCache
from retouch.train.loop import Trainer
from retouch.train.losses import hole_errors, row_errors
from retouch.train.noise import TIMESTEPS, NoiseSchedule
from retouch.train.phase import Recipe
from retouch.train.rows import Place

BATCH = 32


@torch.inference_mode()
def validation_losses(trainer: Trainer, folder: Path, *, rows: int = 256) -> dict[str, float]:
    """Mean unweighted error over `rows` fixed examples: all cells, and the hole alone.

    Every call uses the same pictures and noise, and timesteps spread evenly, so that the curve is smooth. The loss
    depends on the size of the pictures: compare within one phase only.
    """
    cache = LatentCache(folder)
    phase = trainer.phase.model_copy(update={"text_drop_rate": 0.0})
    recipe = Recipe(
        phase, NoiseSchedule.scaled_linear(), trainer.config.model.prediction_type, trainer.empty_tokens
    )
    total, hole = torch.zeros(()), torch.zeros(())
    for first in range(0, rows, BATCH):
        draws = recipe.draw([Place(1, 0, 0, row) for row in range(first, first + BATCH)], cache.cells)
        numbers = torch.arange(first, first + BATCH)
        # Stepping by a number prime to the rows spreads timesteps over all kinds of scene.
        draws.timesteps.copy_((numbers * 97 % rows * TIMESTEPS) // rows)
        draws.pick.copy_((numbers.double() + 0.5) / rows)
        batch = cache.batch(draws.pick, draws.posterior)
        example = recipe.example(batch, draws, trainer.accelerator.device)
        prediction = trainer.denoiser(example.unet_input, example.timesteps, example.tokens)
        total += row_errors(prediction, example.target).sum().cpu()
        hole += hole_errors(prediction, example.target, example.hole).sum().cpu()
    return {"val_loss": float(total / rows), "val_hole": float(hole / rows)}
