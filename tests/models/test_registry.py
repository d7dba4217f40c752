"""What is at hand is listed, and described without loading."""

import os
from pathlib import Path

import pytest
import torch
from tests.factories import make_checkpoint
from tests.ldm import write_single_file
from tests.models.test_locate import cache_with

import retouch.models.locate as locate_module
from retouch.errors import ModelError
from retouch.models.load import load_model
from retouch.models.options import LoadOptions
from retouch.models.registry import describe, list_models


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoadOptions:
    """No embedded model, an empty cache."""
    monkeypatch.setattr(locate_module, "files", lambda package: tmp_path / "package")
    return LoadOptions(cache_dir=tmp_path / "cache", device="cpu")


def test_folders_files_and_the_cache_are_listed(tmp_path: Path, alone: LoadOptions) -> None:
    cache_with(tmp_path, "org/name")
    shelf = tmp_path / "shelf"
    make_checkpoint(shelf / "plain", in_channels=4)
    write_single_file(make_checkpoint(shelf / "inpainting"), shelf / "one.safetensors")
    entries, problems = list_models([shelf], alone)
    found = {(Path(entry.name).name, entry.kind, entry.native_size) for entry in entries}
    expected = {("plain", "blend", 32), ("inpainting", "concat", 32), ("one.safetensors", "concat", None)}
    assert found == expected | {("name", "concat", 32)}
    assert problems == []


def test_what_cannot_be_used_is_listed_with_its_reason(tmp_path: Path, alone: LoadOptions) -> None:
    shelf = tmp_path / "shelf"
    make_checkpoint(shelf / "broken")
    (shelf / "broken" / "pipeline.py").write_text("")
    torch.save({"a": torch.ones(1)}, shelf / "old.ckpt")
    entries, problems = list_models([shelf], alone)
    assert entries == []
    assert [problem.rpartition(": ")[0].rpartition("/")[2].partition(":")[0] for problem in problems] == [
        "broken",
        "old.ckpt",
    ]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_folder_that_may_not_be_read_is_a_problem_of_its_own(tmp_path: Path, alone: LoadOptions) -> None:
    shelf = tmp_path / "shelf"
    make_checkpoint(shelf / "closed").chmod(0)
    make_checkpoint(shelf / "open")
    entries, problems = list_models([shelf], alone)
    assert [entry.path.name for entry in entries] == ["open"]
    assert len(problems) == 1
    (shelf / "closed").chmod(0o700)


def test_embedded_model_comes_first(tmp_path: Path, alone: LoadOptions) -> None:
    make_checkpoint(tmp_path / "package" / "pocket")
    entries, _ = list_models([], alone)
    assert [entry.name for entry in entries] == ["pocket"]


def test_description_agrees_with_the_loaded_model(tmp_path: Path, alone: LoadOptions) -> None:
    folder = make_checkpoint(tmp_path / "model", prediction_type="v_prediction", scheduler="Euler")
    described, loaded = describe(folder, alone), load_model(folder, alone)
    for name in ("kind", "native_size", "size_multiple", "prediction_type", "content_hash"):
        assert getattr(described, name) == getattr(loaded, name)
    assert described.scheduler == loaded.scheduler_class
    assert described.parameters["unet"] == sum(weight.numel() for weight in loaded.unet.parameters())
    assert described.words is None


def test_single_file_cannot_be_described(tmp_path: Path, alone: LoadOptions) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="single file"):
        describe(tmp_path / "model.safetensors", alone)
