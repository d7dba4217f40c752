"""What a diffusers folder may name, and which of its files are taken."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from retouch.errors import ModelError, ModelNotFound, ModelUnsafe, ModelUnsupported
from retouch.models.layout import components_of, find_weights, read_json

INDEX = {
    "_class_name": "StableDiffusionInpaintPipeline",
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "safety_checker": [None, None],
}


def write_index(folder: Path, **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model_index.json").write_text(json.dumps({**INDEX, **changes}))
    return folder


def test_known_classes_pass_and_empty_entries_are_absent(tmp_path: Path) -> None:
    assert components_of(write_index(tmp_path)) == {"unet", "vae", "text_encoder", "tokenizer", "scheduler"}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"_class_name": ["pipeline", "MyPipeline"]}, ModelUnsafe),
        ({"_class_name": "StableDiffusionXLInpaintPipeline"}, ModelUnsupported),
        ({"_class_name": "Anything"}, ModelUnsupported),
        ({"unet": ["my_unet", "MyUNet"]}, ModelUnsafe),
        ({"unet": ["diffusers_modules.local.unet", "UNet2DConditionModel"]}, ModelUnsafe),
        ({"unet": ["diffusers", "UNet2DModel"]}, ModelUnsupported),
        ({"unet": ["diffusers"]}, ModelUnsafe),
        ({"scheduler": ["os", "system"]}, ModelUnsafe),
        ({"scheduler": ["diffusers", "utils"]}, ModelUnsupported),
        ({"image_encoder": ["transformers", "CLIPVisionModelWithProjection"]}, ModelUnsupported),
        ({"vae": [None, None]}, ModelNotFound),
    ],
)
def test_other_classes_are_refused(tmp_path: Path, change: dict[str, Any], error: type[ModelError]) -> None:
    with pytest.raises(error):
        components_of(write_index(tmp_path, **change))


@pytest.mark.parametrize("place", ["pipeline.py", "unet/my_unet.py", "scheduler/noise.py"])
def test_python_in_the_folder_is_refused(tmp_path: Path, place: str) -> None:
    write_index(tmp_path)
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text("print('hello')")
    with pytest.raises(ModelUnsafe, match="Python"):
        components_of(tmp_path)


@pytest.mark.parametrize(
    ("write", "error"),
    [
        (lambda path: None, ModelNotFound),
        (lambda path: path.write_text("{"), ModelUnsafe),
        (lambda path: path.write_text("[1]"), ModelUnsafe),
        (lambda path: path.write_bytes(b"\xff\xfe"), ModelUnsafe),
        (lambda path: path.write_text("[" * 100_000), ModelUnsafe),
        (lambda path: path.write_text('{"auto_map": {"AutoModel": "x.Y"}}'), ModelUnsafe),
        (lambda path: path.write_text('{"a": "' + "x" * 5_000_000 + '"}'), ModelUnsafe),
    ],
)
def test_config_that_is_none_is_refused(
    tmp_path: Path, write: Callable[[Path], object], error: type[ModelError]
) -> None:
    write(tmp_path / "config.json")
    with pytest.raises(error):
        read_json(tmp_path / "config.json")


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def test_safetensors_come_before_pickles_and_plain_before_half(tmp_path: Path) -> None:
    stem = "unet/diffusion_pytorch_model"
    touch(tmp_path, f"{stem}.bin")
    assert find_weights(tmp_path, "unet", None).is_pickle
    touch(tmp_path, f"{stem}.fp16.safetensors")
    assert find_weights(tmp_path, "unet", None).variant == "fp16"
    touch(tmp_path, f"{stem}.safetensors")
    assert find_weights(tmp_path, "unet", None).variant is None
    assert find_weights(tmp_path, "unet", "fp16").variant == "fp16"


def test_shards_are_read_from_their_index(tmp_path: Path) -> None:
    shards = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    touch(tmp_path, *(f"text_encoder/{name}" for name in shards))
    index = tmp_path / "text_encoder" / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": shards[0], "b": shards[1]}}))
    assert [file.name for file in find_weights(tmp_path, "text_encoder", None).files] == shards
    (tmp_path / "text_encoder" / shards[1]).unlink()
    with pytest.raises(ModelNotFound, match=shards[1]):
        find_weights(tmp_path, "text_encoder", None)


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "sub/file", ".."])
def test_shard_names_cannot_leave_their_folder(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "unet/x")
    index = tmp_path / "unet" / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(ModelUnsafe, match="outside"):
        find_weights(tmp_path, "unet", None)


def test_missing_weights_say_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound) as caught:
        find_weights(tmp_path, "vae", None)
    assert "diffusion_pytorch_model.safetensors" in caught.value.hint
    assert "retouch models download" in caught.value.hint
