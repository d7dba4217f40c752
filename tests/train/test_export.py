"""The exported folder, loaded by stock diffusers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionInpaintPipeline
from PIL import Image

from retouch.models.components import Components, Notes, read_notes
from retouch.train.config import TrainConfig
from retouch.train.export import merged, write_folder
from retouch.train.run import RunOptions, start
from retouch.train.surgery import widen_input


def make_parts(config: TrainConfig, tmp_path: Path) -> Components:
    _, parts = start(RunOptions(config=config, run_dir=tmp_path / "run", cpu=True))
    widen_input(parts.unet)
    with torch.no_grad():
        parts.unet.conv_in.weight.normal_()
    return parts


def export(parts: Components, folder: Path) -> Path:
    advice = replace(parts.notes.recommended, context=0.2)
    notes = Notes(recommended=advice, vocabulary=frozenset({"apple", "yellow"}), licence="Apache-2.0")
    write_folder(replace(parts, notes=notes), folder)
    return folder


def test_exported_folder_paints_in_the_stock_pipeline(config: TrainConfig, tmp_path: Path) -> None:
    parts = make_parts(config, tmp_path)
    pipeline = StableDiffusionInpaintPipeline.from_pretrained(export(parts, tmp_path / "out"))
    assert isinstance(pipeline.scheduler, DDIMScheduler)
    assert pipeline.scheduler.config.prediction_type == "v_prediction"
    picture = Image.new("RGB", (32, 32), "grey")
    mask = Image.new("L", (32, 32), 255)
    drawn = pipeline("a red apple", image=picture, mask_image=mask, height=32, width=32, num_inference_steps=2)
    assert drawn.images[0].size == (32, 32)


def test_exported_weights_are_the_half_precision_of_those_in_memory(config: TrainConfig, tmp_path: Path) -> None:
    parts = make_parts(config, tmp_path)
    pipeline = StableDiffusionInpaintPipeline.from_pretrained(export(parts, tmp_path / "out"))
    for mine, loaded in ((parts.unet, pipeline.unet), (parts.text_encoder, pipeline.text_encoder)):
        for name, weight in mine.state_dict().items():
            torch.testing.assert_close(loaded.state_dict()[name].float(), weight.half().float())
    assert parts.unet.dtype == torch.float32


def test_folder_advises_and_lists_the_words_it_knows(config: TrainConfig, tmp_path: Path) -> None:
    folder = export(make_parts(config, tmp_path), tmp_path / "out")
    notes = read_notes(folder)
    assert notes.licence == "Apache-2.0"
    assert notes.recommended.context == 0.2
    assert notes.vocabulary == {"apple", "yellow"}
    assert {"vocab.json", "merges.txt"} <= {path.name for path in (folder / "tokenizer").iterdir()}


def test_exported_configs_name_no_folder_of_their_maker(config: TrainConfig, tmp_path: Path) -> None:
    folder = export(make_parts(config, tmp_path), tmp_path / "out")
    assert str(config.model.vae) not in "".join(path.read_text() for path in folder.glob("*/config.json"))


@pytest.fixture
def lora_recipe(recipe: dict[str, Any]) -> dict[str, Any]:
    unet = recipe["model"]["unet"] | {"in_channels": 9}
    recipe["model"] |= {"lora": {"rank": 2, "alpha": 2.0}, "train_text_encoder": False, "unet": unet}
    return recipe


def test_lora_is_merged_into_a_copy_that_predicts_the_same(lora_recipe: dict[str, Any], tmp_path: Path) -> None:
    parts = make_parts(TrainConfig.model_validate(lora_recipe), tmp_path)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in parts.unet.named_parameters():
            if "lora" in name:
                parameter.normal_(generator=generator)
    noisy = torch.randn(1, 9, 8, 8, generator=generator)
    prompt_embeds = torch.randn(1, 32, 16, generator=generator)
    plain = merged(parts.unet)
    assert not any("lora" in name for name in plain.state_dict())
    with torch.inference_mode():
        ours = parts.unet.eval()(noisy, 5, prompt_embeds).sample
        theirs = plain.eval()(noisy, 5, prompt_embeds).sample
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    assert (export(parts, tmp_path / "out") / "lora" / "pytorch_lora_weights.safetensors").exists()


@pytest.mark.parametrize("more", ["text encoder", "channels"])
def test_no_adapter_is_written_that_lacks_what_was_trained_beside_it(
    lora_recipe: dict[str, Any], tmp_path: Path, more: str
) -> None:
    if more == "text encoder":
        lora_recipe["model"]["train_text_encoder"] = True
    else:
        lora_recipe["model"]["unet"]["in_channels"] = 4
    folder = export(make_parts(TrainConfig.model_validate(lora_recipe), tmp_path), tmp_path / "out")
    assert (folder / "unet").exists()
    assert not (folder / "lora").exists()
