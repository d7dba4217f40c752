"""Names lead to places, and a name that leads nowhere says what to do."""

import shutil
from pathlib import Path

import pytest
from tests.factories import make_checkpoint

import retouch.models.locate as locate_module
from retouch.errors import ModelNotFound
from retouch.models.locate import MOVED, locate
from retouch.models.options import LoadOptions

REVISION = "0" * 40


def cache_with(tmp_path: Path, repository: str) -> tuple[LoadOptions, Path]:
    """Lay a checkpoint out as the hub's cache does."""
    home = tmp_path / "cache" / f"models--{repository.replace('/', '--')}"
    snapshot = make_checkpoint(home / "snapshots" / REVISION)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(REVISION)
    return LoadOptions(cache_dir=tmp_path / "cache", local_files_only=True), snapshot


def test_folders_and_files_are_taken_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert locate(tmp_path).path == tmp_path
    assert locate(str(tmp_path / "model.safetensors")).is_file


def test_cached_checkpoint_is_found_without_the_network(tmp_path: Path) -> None:
    options, snapshot = cache_with(tmp_path, "org/name")
    assert locate("org/name", options).path == snapshot
    assert locate(f"org/name@{REVISION}", options).path == snapshot


def test_incomplete_cache_names_what_is_missing(tmp_path: Path) -> None:
    options, snapshot = cache_with(tmp_path, "org/name")
    shutil.rmtree(snapshot / "unet")
    with pytest.raises(ModelNotFound, match="unet has no weights") as caught:
        locate("org/name", options)
    assert "retouch models download org/name" in caught.value.hint


def test_deleted_checkpoint_points_to_its_mirror(tmp_path: Path) -> None:
    options = LoadOptions(cache_dir=tmp_path, local_files_only=True)
    with pytest.raises(ModelNotFound) as caught:
        locate("runwayml/stable-diffusion-inpainting", options)
    assert MOVED["runwayml/stable-diffusion-inpainting"] in caught.value.hint


def test_offline_setting_of_the_hub_is_honoured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelNotFound, match="not whole in the hub's cache"):
        locate("org/name", LoadOptions(cache_dir=tmp_path))


@pytest.mark.parametrize(
    "name",
    [
        *("./nothing", "nothing", "/no/where/at/all", "models/sd.safetensors", "a/b/c"),
        *("~nosuchuser/x", "x" * 100_000, "a\0b"),
    ],
)
def test_names_that_are_paths_never_go_to_the_hub(name: str) -> None:
    with pytest.raises(ModelNotFound, match="no folder or file"):
        locate(name)


def test_path_objects_never_go_to_the_hub() -> None:
    with pytest.raises(ModelNotFound, match="no folder or file"):
        locate(Path("org/name"))


def test_embedded_model_is_found_or_its_absence_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locate_module, "files", lambda package: tmp_path)
    with pytest.raises(ModelNotFound, match="no embedded model") as caught:
        locate(None)
    assert "--model" in caught.value.hint
    make_checkpoint(tmp_path / "pocket")
    assert locate(None).path == locate("pocket").path == tmp_path / "pocket"


def test_download_fetches_configs_and_one_set_of_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub is played by a folder: `snapshot_download` copies what its patterns match."""
    remote = make_checkpoint(tmp_path / "remote")
    stem = remote / "unet" / "diffusion_pytorch_model"
    for name in (f"{stem}.fp16.safetensors", f"{stem}.bin", remote / "pipeline.py", remote / "model.ckpt"):
        Path(name).write_bytes(b"not to be fetched")

    def snapshot_download(repository: str, *, allow_patterns: list[str], **options: object) -> str:
        for pattern in allow_patterns:
            for file in (file for file in remote.glob(pattern) if file.is_file()):
                target = tmp_path / "local" / file.relative_to(remote)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, target)
        return str(tmp_path / "local")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    folder = locate_module.download("org/name", None, LoadOptions())
    fetched = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert "unet/diffusion_pytorch_model.safetensors" in fetched
    assert "tokenizer/merges.txt" in fetched
    assert not any(name.endswith((".py", ".ckpt", ".bin", ".fp16.safetensors")) for name in fetched)


def test_unreachable_hub_is_an_error_with_a_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot_download(*arguments: object, **options: object) -> str:
        raise ConnectionError("no route")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with pytest.raises(ModelNotFound, match="cannot be downloaded") as caught:
        locate("org/name", LoadOptions(cache_dir=tmp_path))
    assert "HF_TOKEN" in caught.value.hint
