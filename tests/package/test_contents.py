"""What packages hold, and what they refuse to hold."""

from pathlib import Path

import pytest
from tests.factories import make_checkpoint

from retouch.errors import BadInput, ModelUnsafe
from retouch.models.registry import describe
from retouch.package.contents import requirements
from retouch.package.mlflow_model import write_mlflow_model

PICKLES = {".pkl", ".bin", ".pt", ".pth", ".ckpt", ".pickle"}


def test_a_package_holds_the_whole_checkpoint_and_no_pickle(folder: Path, checkpoint: Path) -> None:
    packed = folder / "model" / "artifacts" / "checkpoint"
    assert describe(packed).content_hash == describe(checkpoint).content_hash
    assert not [path for path in folder.rglob("*") if path.suffix in PICKLES]
    assert not list(folder.rglob("__pycache__"))


def test_the_licence_and_the_card_of_the_weights_go_with_them(tmp_path: Path) -> None:
    made = make_checkpoint(tmp_path / "made")
    for name in ("LICENSE", "README.md"):
        (made / name).write_text(name)
    (made / "notes.pkl").write_bytes(b"")
    packed = write_mlflow_model(tmp_path / "out", str(made)) / "artifacts" / "checkpoint"
    assert {path.name for path in packed.iterdir() if path.is_file()} == {
        "LICENSE", "README.md", "model_index.json",
    }  # fmt: skip


def test_a_checkpoint_of_pickles_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    made = make_checkpoint(tmp_path / "made")
    weights = made / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(ModelUnsafe, match="unet is a pickle"):
        write_mlflow_model(tmp_path / "out", str(made))
    assert not (tmp_path / "out").exists()


def test_a_single_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one.safetensors").write_bytes(b"")
    with pytest.raises(BadInput, match="single file"):
        write_mlflow_model(tmp_path / "out", str(tmp_path / "one.safetensors"))


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path: Path, checkpoint: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(BadInput, match="is there already"):
        write_mlflow_model(tmp_path, str(checkpoint))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_requirements_are_releases_and_none_is_of_another_extra() -> None:
    needed = requirements()
    assert any(line.startswith("torch==") for line in needed)
    assert not [line for line in needed if "+" in line or line.startswith(("webdataset", "pytest"))]
