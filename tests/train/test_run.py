"""A run from its configuration: logs, checkpoints, exports, sources."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from retouch.data.compose import SceneComposer
from retouch.data.export import ExportOptions, export_shards
from retouch.errors import InvalidField
from retouch.train.config import TrainConfig
from retouch.train.run import RunOptions, run_training
from retouch.train.storage import load_state


def test_run_writes_log_checkpoint_samples_and_export(
    recipe: dict[str, Any], data_dir: Path, cache_dir: Path, tmp_path: Path
) -> None:
    recipe["log"] |= {
        "save_every_steps": 3,
        "samples_every_s": 0.0,
        "publish": str(tmp_path / "latest"),
        "scenes": str(data_dir),
        "prompts": ["a red apple"],
    }
    recipe["phases"][1]["data"]["validation"] = str(cache_dir)
    run_training(RunOptions(config=TrainConfig.model_validate(recipe), run_dir=tmp_path / "run", cpu=True))
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["samples"] for line in lines if "loss" in line] == [4, 8, 12, 16, 20, 24]
    assert any("val_hole" in line for line in lines)
    assert list((tmp_path / "run" / "samples").glob("*.png"))
    assert (tmp_path / "latest" / "unet" / "diffusion_pytorch_model.safetensors").exists()
    assert load_state(tmp_path / "run" / "checkpoint.pt")["step"] == 3


@pytest.mark.parametrize("kind", ["scenes", "shards"])
def test_phases_train_on_pictures_that_are_encoded_as_they_come(
    recipe: dict[str, Any], data_dir: Path, tmp_path: Path, kind: str
) -> None:
    folder = data_dir
    if kind == "shards":
        folder = tmp_path / "shards"
        export_shards(SceneComposer.open(data_dir, size=48), folder, ExportOptions(count=6, per_shard=3))
    for phase in recipe["phases"]:
        phase["data"] = {"kind": kind, "folder": str(folder), "size": 32, "workers": 0}
        phase["steps"] = 1
    trainer = run_training(
        RunOptions(config=TrainConfig.model_validate(recipe), run_dir=tmp_path / "run", cpu=True)
    )
    assert trainer.position.phase == 1


def test_lora_run_leaves_every_weight_but_the_adapters(recipe: dict[str, Any], tmp_path: Path) -> None:
    recipe["model"] |= {
        "lora": {"rank": 2},
        "train_text_encoder": False,
        "unet": recipe["model"]["unet"] | {"in_channels": 9},
    }
    recipe["phases"] = recipe["phases"][1:]
    config = TrainConfig.model_validate(recipe)
    run_training(RunOptions(config=config, run_dir=tmp_path, cpu=True, max_steps=1))
    before = load_state(tmp_path / "checkpoint.pt")["model"]
    run_training(RunOptions(config=config, run_dir=tmp_path, cpu=True))
    after = load_state(tmp_path / "checkpoint.pt")["model"]
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all("lora" in name for name in changed)


def test_run_begun_with_another_seed_or_other_data_is_not_gone_on_with(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    def options(**more: Any) -> RunOptions:
        return RunOptions(config=TrainConfig.model_validate(recipe), run_dir=tmp_path, cpu=True, **more)

    run_training(options(max_steps=1))
    recipe["seed"] = 4
    with pytest.raises(InvalidField, match=r"seed.*made with 0, the recipe says 4"):
        run_training(options())
    recipe["seed"] = 0
    for phase in recipe["phases"]:
        phase["data"] = phase["data"] | {"size": 64}
    with pytest.raises(InvalidField, match=r"data\.size.*made with 32, the recipe says 64"):
        run_training(options())
    assert run_training(options(max_steps=1, accept_changes=True)).position.step == 2


def test_shards_that_changed_are_told_apart_and_moved_ones_are_not(
    recipe: dict[str, Any], data_dir: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "shards"
    export_shards(SceneComposer.open(data_dir, size=48), folder, ExportOptions(count=6, per_shard=2))
    recipe["phases"] = recipe["phases"][:1]

    def go_on(folder: Path) -> None:
        recipe["phases"][0]["data"] = {"kind": "shards", "folder": str(folder), "size": 32, "workers": 0}
        run_training(RunOptions(TrainConfig.model_validate(recipe), tmp_path / "run", cpu=True, max_steps=1))

    go_on(folder)
    go_on(folder.rename(tmp_path / "moved"))
    (tmp_path / "moved" / "00001.tar").unlink()
    with pytest.raises(InvalidField, match="its shards"):
        go_on(tmp_path / "moved")
