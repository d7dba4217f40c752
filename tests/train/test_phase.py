"""What the model is shown: channel order, dropped texts, masks."""

from pathlib import Path
from typing import Any

import pytest
import torch

from retouch.train.config import PhaseConfig, TrainConfig
from retouch.train.latents import LatentCache
from retouch.train.noise import NoiseSchedule
from retouch.train.phase import Example, Recipe
from retouch.train.rows import Place
from retouch.train.text import MAX_TOKENS

CPU = torch.device("cpu")
EMPTY = torch.full((1, MAX_TOKENS), 7)


def make_recipe(phase: PhaseConfig) -> Recipe:
    return Recipe(phase, NoiseSchedule.scaled_linear(), "v_prediction", EMPTY)


def make_example(phase: PhaseConfig, cache: LatentCache, rows: int = 24) -> tuple[Example, Any, Any]:
    recipe = make_recipe(phase)
    draws = recipe.draw([Place(0, 0, 0, row) for row in range(rows)], cache.cells)
    batch = cache.batch(draws.pick, draws.posterior)
    return recipe.example(batch, draws, CPU), batch, draws


def test_inpainting_input_is_latents_then_mask_then_masked_image(config: TrainConfig, cache_dir: Path) -> None:
    example, batch, draws = make_example(config.phases[1], LatentCache(cache_dir))
    noisy = NoiseSchedule.scaled_linear().add_noise(batch.latents, draws.noise, draws.timesteps)
    assert example.unet_input.shape == (24, 9, 8, 8)
    assert torch.equal(example.unet_input[:, :4], noisy)
    assert torch.equal(example.unet_input[:, 4:5], batch.mask[:, :, ::4, ::4])
    assert torch.equal(example.unet_input[:, 5:], batch.masked_image_latents)


def test_text_to_image_input_is_the_latents_alone(config: TrainConfig, cache_dir: Path) -> None:
    example, _, _ = make_example(config.phases[0], LatentCache(cache_dir))
    assert example.unet_input.shape == (24, 4, 8, 8)
    assert bool((example.hole == 1).all())


def test_dropped_rows_have_the_empty_caption_and_the_others_their_own(
    config: TrainConfig, cache_dir: Path
) -> None:
    phase = config.phases[1].model_copy(update={"text_drop_rate": 0.5})
    example, batch, draws = make_example(phase, LatentCache(cache_dir))
    for row, is_dropped in enumerate(draws.drop_text.tolist()):
        assert torch.equal(example.tokens[row], EMPTY[0] if is_dropped else batch.tokens[row])
    assert 0 < int(draws.drop_text.sum()) < 24


@pytest.mark.parametrize("gamma", [None, 5.0])
def test_perfect_prediction_has_no_loss(config: TrainConfig, cache_dir: Path, gamma: float | None) -> None:
    phase = config.phases[1].model_copy(update={"min_snr_gamma": gamma, "hole_loss_weight": 2.0})
    example, _, _ = make_example(phase, LatentCache(cache_dir))
    loss, hole = make_recipe(phase).loss(example.target, example)
    assert float(loss) == 0.0
    assert float(hole) == 0.0
    assert float(make_recipe(phase).loss(example.target + 1.0, example)[0]) > 0.0


def test_cover_rule_marks_every_cell_that_the_nearest_rule_marks(config: TrainConfig, cache_dir: Path) -> None:
    cache = LatentCache(cache_dir)
    nearest, _, _ = make_example(config.phases[1], cache)
    cover, _, _ = make_example(config.phases[1].model_copy(update={"latent_mask": "cover"}), cache)
    assert bool((cover.hole >= nearest.hole).all())
    assert float(cover.hole.sum()) > float(nearest.hole.sum())
