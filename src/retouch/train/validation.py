"""The loss on held-out examples, with fixed noise."""

import torch

from retouch.train.loop import Trainer
from retouch.train.losses import hole_errors, row_errors
from retouch.train.noise import TIMESTEPS
from retouch.train.phase import Recipe, RowSource, shape_at
from retouch.train.rows import Place

BATCH = 32


@torch.inference_mode()
def validation_losses(trainer: Trainer, source: RowSource, *, rows: int = 256) -> dict[str, float]:
    """Mean unweighted error over `rows` fixed examples: all cells, and the hole alone.

    Every call uses the same pictures and noise, and timesteps spread evenly, so that the curve is smooth. The loss
    depends on the size of the pictures: compare within one phase only.
    """
    phase = trainer.phase.model_copy(update={"text_drop_rate": 0.0})
    recipe = Recipe(phase, trainer.denoiser.noise, trainer.denoiser.predicts, trainer.empty_tokens)
    total, hole = torch.zeros(()), torch.zeros(())
    size = min(BATCH, phase.micro_batch)
    for first in range(0, rows, size):
        numbers = torch.arange(first, min(first + size, rows))
        places = [Place(1, 0, 0, row) for row in numbers.tolist()]
        draws = recipe.draw(places, shape_at(source, places[0]))
        # Stepping by a number prime to the rows spreads timesteps over all kinds of scene.
        draws.timesteps.copy_((numbers * 97 % rows * TIMESTEPS) // rows)
        draws.pick.copy_((numbers.double() + 0.5) / rows)
        batch = source.batch(draws.pick, draws.posterior)
        example = recipe.example(batch, draws, trainer.accelerator.device)
        prediction = trainer.denoiser(example.unet_input, example.timesteps, example.tokens, example.sketches)
        total += row_errors(prediction, example.target).sum().cpu()
        hole += hole_errors(prediction, example.target, example.hole).sum().cpu()
    return {"val_loss": float(total / rows), "val_hole": float(hole / rows)}
