"""Schemas know every key that the classes take, and pass every config that the package carries."""

import inspect
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import diffusers
import pytest
from tests.factories import make_checkpoint, tiny_feature_extractor

from retouch.errors import ModelUnsafe, ModelUnsupported
from retouch.models.layout import read_json
from retouch.models.rules import Schema
from retouch.models.scheduler_names import known_schedulers
from retouch.models.schemas import SCHEMAS, check_config, check_feature_extractor, check_scheduler

PACKAGED = sorted(Path(str(files("retouch.models"))).glob("**/config.json"))


@pytest.mark.parametrize(
    ("name", "schema"), [(name, schema) for part in ("unet", "vae") for name, schema in SCHEMAS[part].items()]
)
def test_every_argument_of_diffusers_classes_has_a_rule(name: str, schema: Schema) -> None:
    """One that is missing here would be left out in silence."""
    assert set(schema) == set(inspect.signature(getattr(diffusers, name)).parameters)


@pytest.mark.parametrize("name", ["AutoencoderKLWan", "StableDiffusionPipeline", ["AutoencoderKL"], None, 7])
def test_configs_of_other_classes_are_unsupported(name: object) -> None:
    with pytest.raises(ModelUnsupported, match="vae is a"):
        check_config("vae", {"_class_name": name})


@pytest.mark.parametrize("path", PACKAGED, ids=lambda path: f"{path.parent.parent.name}-{path.parent.name}")
def test_packaged_configs_pass_whole(path: Path) -> None:
    config = read_json(path)
    values = check_config(path.parent.name, config)
    diffusers = path.parent.name in ("unet", "vae")
    assert not diffusers or set(config) - set(values) <= {"_class_name", "_diffusers_version"}


def test_configs_that_the_libraries_write_pass(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path, safety_checker=True)
    for component in SCHEMAS:
        check_config(component, read_json(folder / component / "config.json"))


@pytest.mark.parametrize("name", [name for name in known_schedulers() if name.endswith("Scheduler")])
def test_what_every_scheduler_writes_passes(tmp_path: Path, name: str) -> None:
    getattr(diffusers, name)().save_pretrained(tmp_path)
    check_scheduler(read_json(tmp_path / "scheduler_config.json"))


def test_former_form_of_the_safety_checkers_config_is_read() -> None:
    config = {"projection_dim": 768, "vision_config": {"patch_size": 32}, "vision_config_dict": {"patch_size": 14}}
    assert check_config("safety_checker", config)["vision_config"] == {"patch_size": 14}


@pytest.mark.parametrize(
    "size", [224, {"shortest_edge": 224}, {"height": 224, "width": 224}, {"shortest_edge": 256}]
)
def test_sizes_near_the_checkers_pass(size: Any) -> None:
    assert check_feature_extractor({"size": size}, 224)["size"] == size
    with pytest.raises(ModelUnsafe):
        check_feature_extractor({"size": size}, 16)


def test_what_the_library_writes_of_a_feature_extractor_passes_whole() -> None:
    config = json.loads(tiny_feature_extractor().to_json_string())
    assert {"size", "crop_size", "image_mean", "resample"} <= set(check_feature_extractor(config, 16))
