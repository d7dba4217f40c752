"""Heads that are set to read sketches look where they stand, and change nothing else."""

from pathlib import Path
from typing import Any

import pytest
import torch

from retouch.errors import ModelError
from retouch.train.config import TrainConfig
from retouch.train.denoiser import Denoiser, build_denoiser
from retouch.train.latents import LatentCache
from retouch.train.noise import NoiseSchedule
from retouch.train.origin import load_origin
from retouch.train.phase import Example, Recipe
from retouch.train.pocket.reading import fit_reading
from retouch.train.rows import Place
from retouch.train.run import RunOptions, run_training
from retouch.train.sketches import SketchHead, position_codes
from retouch.train.storage import load_state
from retouch.train.text import SKETCH_SIDE, WORD_TOKENS, encode_captions

ATTENTION = "up_blocks.0.attentions.0"


@pytest.fixture
def reading_recipe(recipe: dict[str, Any]) -> dict[str, Any]:
    recipe["model"]["unet"] = recipe["model"]["unet"] | {"block_out_channels": [8, 32]}
    return recipe


@pytest.fixture
def denoiser(reading_recipe: dict[str, Any]) -> Denoiser:
    torch.manual_seed(0)
    config = TrainConfig.model_validate(reading_recipe).model
    return build_denoiser(config, load_origin(config))


@pytest.fixture
def examples(reading_recipe: dict[str, Any], cache_dir: Path) -> list[Example]:
    config = TrainConfig.model_validate(reading_recipe)
    empty = encode_captions(load_origin(config.model).tokenizer, [""])
    recipe = Recipe(config.phases[0], NoiseSchedule.scaled_linear(), "v_prediction", empty)
    cache = LatentCache(cache_dir)
    draws = recipe.draw([Place(0, 0, 0, row) for row in range(24)], cache.cells)
    return [recipe.example(cache.batch(draws.pick, draws.posterior), draws, torch.device("cpu"))]


class Placed(torch.nn.Module):
    """Features that hold the place of their cell among other things, as a trained UNet's do."""

    def __init__(self, norm: torch.nn.Module) -> None:
        super().__init__()
        self.norm = norm
        self.mixing = torch.randn(8, 32, generator=torch.Generator().manual_seed(0))
        self.last = torch.empty(0)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        self.last = self.norm(features) + position_codes(4) @ self.mixing
        return self.last


def test_reading_heads_look_at_their_own_region_and_at_no_word(
    denoiser: Denoiser, examples: list[Example]
) -> None:
    head = SketchHead(16, 4)
    block = denoiser.unet.get_submodule(f"{ATTENTION}.transformer_blocks.0")
    block.norm2 = Placed(block.norm2)
    modules = denoiser.text_encoder.named_modules()
    places = next(module for name, module in modules if name.endswith("position_embedding"))
    with torch.no_grad():
        places.weight[WORD_TOKENS:, :8] = 3.0 * position_codes(SKETCH_SIDE)
    fit_reading(denoiser, ATTENTION, examples, head)
    with torch.inference_mode():
        embeds = denoiser.text_encoder(examples[0].tokens)[0]
        denoiser.unet(examples[0].unet_input, examples[0].timesteps, embeds)
        query, key = block.attn2.to_q(block.norm2.last)[..., 16:], block.attn2.to_k(embeds)[..., 16:]
        looks = (query @ key.transpose(1, 2) / 4.0).softmax(-1)  # (rows, 16 cells, tokens)
    sketch = looks[..., WORD_TOKENS:].unflatten(2, (4, 2, 4, 2)).sum(dim=(3, 5))  # tokens of each cell's region
    own = sketch.flatten(2).diagonal(dim1=1, dim2=2).mean()
    assert float(own) > 0.5
    assert float(looks[..., :WORD_TOKENS].sum(-1).mean()) < 0.15  # an even look gives a third
    assert torch.equal(block.attn2.to_v.weight[16:20], head.latents.weight)


def test_the_other_heads_stay_and_the_way_out_begins_at_nothing(
    denoiser: Denoiser, examples: list[Example]
) -> None:
    cross = denoiser.unet.get_submodule(f"{ATTENTION}.transformer_blocks.0").attn2
    before = {name: weight.clone() for name, weight in denoiser.state_dict().items()}
    fit_reading(denoiser, ATTENTION, examples, SketchHead(16, 4))
    changed = {name for name, weight in denoiser.state_dict().items() if not torch.equal(weight, before[name])}
    assert changed == {
        f"unet.{ATTENTION}.transformer_blocks.0.attn2.{name}.weight"
        for name in ("to_q", "to_k", "to_v", "to_out.0")
    }
    for name in ("to_q", "to_k", "to_v"):
        old = before[f"unet.{ATTENTION}.transformer_blocks.0.attn2.{name}.weight"]
        assert torch.equal(getattr(cross, name).weight[:16], old[:16])
    assert bool((cross.to_out[0].weight[:, 16:] == 0).all())


def test_what_was_read_before_does_not_change_the_heads(denoiser: Denoiser, examples: list[Example]) -> None:
    head, weights = SketchHead(16, 4), []
    start = {name: weight.clone() for name, weight in denoiser.state_dict().items()}
    for _ in range(2):  # the second time, every caption is known
        denoiser.load_state_dict(start)
        fit_reading(denoiser, ATTENTION, examples, head)
        weights.append(denoiser.unet.get_submodule(f"{ATTENTION}.transformer_blocks.0.attn2").to_k.weight.clone())
    assert not torch.equal(weights[0], start[f"unet.{ATTENTION}.transformer_blocks.0.attn2.to_k.weight"])
    assert torch.equal(*weights)


def test_heads_too_narrow_for_a_place_are_refused(denoiser: Denoiser, examples: list[Example]) -> None:
    cross = denoiser.unet.get_submodule(f"{ATTENTION}.transformer_blocks.0").attn2
    cross.heads = 8
    with pytest.raises(ModelError, match="heads of 4"):
        fit_reading(denoiser, ATTENTION, examples, SketchHead(16, 4))


def test_a_run_sets_the_heads_once_and_resumes_to_the_same_weights(
    reading_recipe: dict[str, Any], denoiser: Denoiser, tmp_path: Path
) -> None:
    folder = tmp_path / "text"
    denoiser.text_encoder.save_pretrained(folder)
    from safetensors.torch import save_file

    save_file(SketchHead(16, 4).state_dict(), folder / "sketch.safetensors")
    reading_recipe["model"] |= {"text": {"pretrained": str(folder)}, "train_text_encoder": False}
    reading_recipe["phases"][1] |= {
        "read_sketches": [ATTENTION],
        "rate_factors": {"unet.mid_block": 0.1, "unet.down_blocks": 0.1},
    }
    config = TrainConfig.model_validate(reading_recipe)
    run_training(RunOptions(config=config, run_dir=tmp_path / "whole", cpu=True))
    for _ in range(6):
        run_training(RunOptions(config=config, run_dir=tmp_path / "cut", cpu=True, max_steps=1))
    whole, cut = (load_state(tmp_path / name / "checkpoint.pt") for name in ("whole", "cut"))
    assert all(torch.equal(whole["model"][name], cut["model"][name]) for name in whole["model"])
    way_out = whole["model"][f"unet.{ATTENTION}.transformer_blocks.0.attn2.to_out.0.weight"][:, 16:]
    assert 0 < float(way_out.abs().max()) < 0.01  # from 0, three steps ago
