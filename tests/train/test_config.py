"""The recipe's file."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from retouch.errors import InvalidField
from retouch.models.components import read_notes
from retouch.models.locate import locate
from retouch.train.config import load_config

CONFIGS = Path(__file__).parents[2] / "configs"


def write(tree: dict[str, Any], tmp_path: Path) -> Path:
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(tree))
    return file


@pytest.mark.parametrize("name", sorted(file.name for file in CONFIGS.glob("*.yaml")))
def test_shipped_recipe_is_valid(name: str) -> None:
    config = load_config(CONFIGS / name)
    assert config.phases[-1].task == "inpaint"


def test_the_embedded_models_recipe_says_what_its_release_says() -> None:
    export = load_config(CONFIGS / "pocket.yaml").export.model_dump(exclude_none=True)
    released = read_notes(locate(None).path)
    assert export.pop("licence") == released.licence
    assert export == {name: getattr(released.recommended, name) for name in export}


def test_card_recipe_has_the_numbers_of_the_card() -> None:
    config = load_config(CONFIGS / "sd15-inpainting.yaml")
    regular, inpainting = config.phases
    assert (regular.steps, inpainting.steps) == (595_000, 440_000)
    for phase in config.phases:
        assert (phase.global_batch, phase.data.size, phase.schedule) == (2048, 512, "constant")
        assert phase.text_drop_rate == 0.1
    assert (regular.learning_rate, regular.warmup_steps) == (1e-4, 10_000)
    # Not of the card: the published configuration of the inpainting model.
    assert (inpainting.learning_rate, inpainting.warmup_steps) == (7.5e-5, 2500)
    assert inpainting.full_mask_rate == 0.25


def test_card_recipe_starts_from_the_weights_of_the_card_or_from_those_given() -> None:
    file = CONFIGS / "sd15-inpainting.yaml"
    assert load_config(file).model.pretrained == "CompVis/stable-diffusion-v1-2"
    assert load_config(file, {"model.pretrained": "weights/v1-2"}).model.pretrained == "weights/v1-2"
    with pytest.raises(InvalidField, match="without `pretrained`"):
        load_config(file, {"model.pretrained": None})


def test_unknown_key_is_an_error_that_names_it(recipe: dict[str, Any], tmp_path: Path) -> None:
    recipe["phases"][0]["lerning_rate"] = 1
    with pytest.raises(InvalidField, match=r"phases\.0\.lerning_rate"):
        load_config(write(recipe, tmp_path))


def test_override_replaces_a_value_of_the_file(recipe: dict[str, Any], tmp_path: Path) -> None:
    config = load_config(write(recipe, tmp_path), {"phases.1.steps": 9, "ema.decay": 0.5})
    assert config.phases[1].steps == 9
    assert config.ema.decay == 0.5


def test_pictures_are_held_out_by_share_or_by_name() -> None:
    file, key = CONFIGS / "finetune-photographs.yaml", "phases.0.data.pictures.held_out"
    assert load_config(file).phases[0].data.pictures.held_out == 0.1
    assert load_config(file, {key: ["07.jpg"]}).phases[0].data.pictures.held_out == ("07.jpg",)
    with pytest.raises(InvalidField, match="held_out"):
        load_config(file, {key: 1.5})


def test_a_folder_has_the_size_of_its_checkpoint_unless_the_file_names_one() -> None:
    file = CONFIGS / "finetune-photographs.yaml"
    assert load_config(file).phases[0].data.given_size is None
    assert load_config(file, {"phases.0.data.size": 512}).phases[0].data.given_size == 512


@pytest.mark.parametrize("key", ["phases.7.steps", "phases.x.steps", "name.first.second"])
def test_override_that_leads_nowhere_is_an_error(recipe: dict[str, Any], tmp_path: Path, key: str) -> None:
    with pytest.raises(InvalidField):
        load_config(write(recipe, tmp_path), {key: 1})


def test_model_without_any_source_of_weights_is_an_error(recipe: dict[str, Any], tmp_path: Path) -> None:
    del recipe["model"]["unet"]
    with pytest.raises(InvalidField, match="model"):
        load_config(write(recipe, tmp_path))


def test_scenes_that_bring_sketches_are_read_from_a_cache_alone(recipe: dict[str, Any], tmp_path: Path) -> None:
    recipe["phases"][-1]["data"] |= {"kind": "scenes", "mixture": "several"}
    with pytest.raises(InvalidField, match="only a cache holds"):
        load_config(write(recipe, tmp_path))
