"""Folders are loaded whole or not at all."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save_file
from tests.factories import make_checkpoint

from retouch.errors import ModelError, ModelNotFound, ModelUnsafe
from retouch.models.folder import load_folder, quiet_loading, read_scheduler
from retouch.models.options import LoadOptions
from retouch.models.schemas import check_config
from retouch.models.tokenizer import load_tokenizer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_checkpoint(tmp_path / "model")


def test_scheduler_config_is_the_one_on_disk(folder: Path) -> None:
    on_disk = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    assert load_folder(folder, LoadOptions()).scheduler_config == on_disk


def test_half_precision_variant_is_found_and_widened(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path, variant="fp16", safety_checker=True)
    components = load_folder(folder, LoadOptions())
    assert {weight.dtype for weight in components.unet.parameters()} == {torch.float32}
    assert components.safety_checker is not None
    assert components.feature_extractor is not None


def test_content_hash_follows_the_weights(tmp_path: Path) -> None:
    first = load_folder(make_checkpoint(tmp_path / "a"), LoadOptions()).content_hash
    same = load_folder(make_checkpoint(tmp_path / "b"), LoadOptions()).content_hash
    other = load_folder(make_checkpoint(tmp_path / "c", seed=1), LoadOptions()).content_hash
    assert first == same != other


def test_sharded_weights_load(folder: Path) -> None:
    home, stem = folder / "unet", "diffusion_pytorch_model"
    weights = load((home / f"{stem}.safetensors").read_bytes())
    names = sorted(weights)
    halves = {f"{stem}-00001-of-00002.safetensors": names[::2], f"{stem}-00002-of-00002.safetensors": names[1::2]}
    for file, part in halves.items():
        save_file({name: weights[name] for name in part}, home / file, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, part in halves.items() for name in part}}
    (home / f"{stem}.safetensors.index.json").write_text(json.dumps(index))
    (home / f"{stem}.safetensors").unlink()
    loaded = load_folder(folder, LoadOptions()).unet.state_dict()
    assert all(torch.equal(loaded[name], weights[name]) for name in names)


def test_missing_weight_is_named(folder: Path) -> None:
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load(path.read_bytes())
    del weights["conv_out.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"unet.*conv_out"):
        load_folder(folder, LoadOptions())


def test_config_of_another_size_is_an_error(folder: Path) -> None:
    path = folder / "unet" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "block_out_channels": [16, 64]}))
    with pytest.raises(ModelError, match="unet"):
        load_folder(folder, LoadOptions())


@pytest.mark.parametrize(
    "change", [{"layers_per_block": 10**9}, {"block_out_channels": [10**6, 10**6]}, {"x": [0] * 10_000}]
)
def test_config_beyond_reason_is_refused_before_a_model_is_built(change: dict[str, object]) -> None:
    with pytest.raises(ModelUnsafe, match="beyond"):
        check_config("unet", change)


def test_pickle_under_a_safe_name_is_refused(folder: Path) -> None:
    path = folder / "vae" / "diffusion_pytorch_model.safetensors"
    torch.save(load(path.read_bytes()), path)
    with pytest.raises(ModelUnsafe, match="not safetensors"):
        load_folder(folder, LoadOptions(allow_pickle=True))


def test_pickled_weights_load_where_allowed(folder: Path) -> None:
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load(path.read_bytes())
    torch.save(weights, path.with_suffix(".bin"))
    path.unlink()
    with pytest.raises(ModelUnsafe, match="pickle"):
        load_folder(folder, LoadOptions())
    loaded = load_folder(folder, LoadOptions(allow_pickle=True)).unet.state_dict()
    assert torch.equal(loaded["conv_in.weight"], weights["conv_in.weight"])


@pytest.mark.parametrize(
    "name", ["vae/config.json", "scheduler/scheduler_config.json", "unet/config.json", "model_index.json"]
)
def test_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelNotFound, match=Path(name).name):
        load_folder(folder, LoadOptions())


@pytest.mark.parametrize("kept", [("tokenizer.json",), ("vocab.json", "merges.txt")])
def test_tokenizer_loads_from_either_of_its_forms(folder: Path, kept: tuple[str, ...]) -> None:
    home = folder / "tokenizer"
    whole = load_tokenizer(home)("a red apple on the bench").input_ids
    for path in home.iterdir():
        if path.name not in (*kept, "tokenizer_config.json"):
            path.unlink()
    assert load_tokenizer(home)("a red apple on the bench").input_ids == whole
    (home / kept[0]).unlink()
    with pytest.raises(ModelNotFound, match="tokenizer"):
        load_tokenizer(home)


def test_broken_tokenizer_is_an_error_of_the_model(folder: Path) -> None:
    for name in ("tokenizer.json", "vocab.json"):
        (folder / "tokenizer" / name).write_text("{]")
    with pytest.raises(ModelError, match="tokenizer"):
        load_tokenizer(folder / "tokenizer")


def test_scheduler_without_a_class_is_refused(folder: Path) -> None:
    (folder / "scheduler" / "scheduler_config.json").write_text("{}")
    with pytest.raises(ModelUnsafe, match="class"):
        read_scheduler(folder)


def test_progress_bars_come_back_after_loading() -> None:
    from transformers.utils import logging

    logging.enable_progress_bar()
    with quiet_loading():
        assert not logging.is_progress_bar_enabled()
    assert logging.is_progress_bar_enabled()
