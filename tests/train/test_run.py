"""A run from its configuration: logs, checkpoints, exports, sources."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tests.factories import make_checkpoint
from tests.train.photographs import phase_of, write_photographs

from retouch.data.compose import SceneComposer
from retouch.data.export import ExportOptions, export_shards
from retouch.errors import InvalidField, ModelError
from retouch.train import run
from retouch.train.config import TrainConfig
from retouch.train.encoded import Encoded, PhotographEncoder
from retouch.train.photographs import Photograph
from retouch.train.run import RunOptions, run_training
from retouch.train.storage import load_state, save_atomically


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


def test_a_signal_while_a_folder_is_encoded_ends_the_run_at_once(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode, encoded = PhotographEncoder.encode, []

    def interrupted(self: PhotographEncoder, photograph: Photograph) -> Encoded:
        encoded.append(photograph.name)
        os.kill(os.getpid(), signal.SIGTERM)
        return encode(self, photograph)

    monkeypatch.setattr(PhotographEncoder, "encode", interrupted)
    base = make_checkpoint(tmp_path / "base")
    recipe["phases"] = [
        phase_of(write_photographs(tmp_path / "photographs", 3)).model_dump(mode="json", exclude_unset=True)
    ]
    config = TrainConfig.model_validate(recipe | {"model": {"pretrained": str(base)}})
    with pytest.raises(KeyboardInterrupt):
        run_training(RunOptions(config, tmp_path / "run", cpu=True))
    assert encoded == ["00.jpg"]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_folder_that_no_run_published_is_an_error_before_the_first_step(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "latest").mkdir()
    recipe["log"] |= {"publish": str(tmp_path / "latest")}
    with pytest.raises(InvalidField, match="is there already"):
        run_training(RunOptions(TrainConfig.model_validate(recipe), tmp_path / "run", cpu=True))
    assert not (tmp_path / "run").exists()


def test_masks_that_were_added_to_a_folder_are_not_gone_on_with(recipe: dict[str, Any], tmp_path: Path) -> None:
    base = make_checkpoint(tmp_path / "base")
    folder = write_photographs(tmp_path / "photographs", 2)
    recipe["phases"] = [phase_of(folder).model_dump(mode="json", exclude_unset=True) | {"steps": 4}]
    config = TrainConfig.model_validate(recipe | {"model": {"pretrained": str(base), "lora": {"rank": 2}}})
    options = RunOptions(config, tmp_path / "run", cpu=True, max_steps=1)
    run_training(options)
    Image.new("L", (80, 80), 255).save(folder / "00.mask.png")
    with pytest.raises(InvalidField, match="its masks"):
        run_training(options)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"pretrained": "b"}, r"model\.pretrained"),
        ({"pretrained": "v"}, "scheduler"),
        ({"vae": "b/vae"}, r"model\.vae"),
        ({"lora": {"rank": 2, "alpha": 64.0}}, r"model\.lora.*64\.0"),
        ({"lora": {"rank": 4}}, r"model\.lora.*4"),
        ({"lora": None}, r"model\.lora"),
        ({"train_text_encoder": True}, "train_text_encoder"),
    ],
    ids=str,
)
def test_run_begun_with_another_model_is_not_gone_on_with(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], named: str
) -> None:
    monkeypatch.chdir(make_checkpoint(tmp_path / "a").parent)
    make_checkpoint(tmp_path / "b", seed=3)
    make_checkpoint(tmp_path / "v", prediction_type="v_prediction")
    folder = write_photographs(tmp_path / "photographs", 2)
    recipe["phases"] = [phase_of(folder).model_dump(mode="json", exclude_unset=True) | {"steps": 4}]

    def options(**more: Any) -> RunOptions:
        model = {"pretrained": "a", "lora": {"rank": 2}} | more
        return RunOptions(TrainConfig.model_validate(recipe | {"model": model}), tmp_path / "run", cpu=True)

    run_training(replace(options(), max_steps=1))
    with pytest.raises(InvalidField, match=named):
        run_training(options(**changes))


def test_checkpoint_that_does_not_say_what_its_model_is_made_of_is_gone_on_with(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    options = RunOptions(config=TrainConfig.model_validate(recipe), run_dir=tmp_path, cpu=True, max_steps=1)
    run_training(options)
    state = load_state(tmp_path / "checkpoint.pt")
    del state["origin"]
    save_atomically(state, tmp_path / "checkpoint.pt")
    assert run_training(options).position.step == 2


def test_weights_of_a_model_of_another_form_are_an_error_with_a_way_out(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    def options() -> RunOptions:
        config = TrainConfig.model_validate(recipe)
        return RunOptions(config, tmp_path, cpu=True, max_steps=1, accept_changes=True)

    run_training(options())
    recipe["model"]["unet"] = recipe["model"]["unet"] | {"block_out_channels": [8, 24]}
    with pytest.raises(ModelError, match="do not fit"):
        run_training(options())


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


@pytest.mark.parametrize(
    ("asked", "fast", "found", "warned"),
    [
        ("auto", ("fp32", "bf16"), "bf16", 0),
        ("auto", ("fp32",), "no", 0),
        ("bf16", ("fp32",), "bf16", 1),
        ("bf16", ("fp32", "bf16"), "bf16", 0),
        ("no", ("fp32", "bf16"), "no", 0),
    ],
)
def test_bf16_is_for_processors_with_instructions_for_it(
    recipe: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    asked: str,
    fast: tuple[str, ...],
    found: str,
    warned: int,
) -> None:
    monkeypatch.setattr(run, "fast_dtypes", lambda _: fast)
    config = TrainConfig.model_validate(recipe | {"mixed_precision": asked})
    trainer, _ = run.start(RunOptions(config, tmp_path / "run", cpu=True))
    assert trainer.accelerator.mixed_precision == found
    assert sum("bf16" in record.message for record in caplog.records) == warned
